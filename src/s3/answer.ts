import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { writeXml, type XmlElement } from '#lib/xml.ts';
import type { ByteStream } from './backend.ts';
import type { S3Error } from './errors.ts';

/** What an operation answers; written to the wire in one place. Headers that are `undefined` are left out. */
export interface S3Answer {
  /** 200 when absent. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | number | undefined>>;
  readonly content?: XmlElement | Uint8Array | ByteStream | undefined;
}

const drainSizeBytesMax = 1024 * 1024;
const drainTimeMsMax = 5_000;
const onePieceSizeBytesMax = 12 * 1024;

const asBuffer = ({ buffer, byteOffset, length }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, length);

/** The XML form of a failure. */
export function errorAnswer(error: S3Error, resource: string, requestId: string): S3Answer {
  if (error.status === 304) return { status: 304, headers: error.headers };
  const fields = Object.entries({
    Code: error.code,
    Message: error.message,
    ...error.fields,
    Resource: resource,
    RequestId: requestId,
  });
  return {
    status: error.status,
    headers: error.headers,
    content: { name: 'Error', children: fields.map(([name, children]) => ({ name, children })) },
  };
}

/**
 * Writes an answer and leaves the connection in a state where the next request on it is safe.
 *
 * `common` are headers that every answer has; those of the answer itself count more.
 * A request body that nobody wants is read up to a limit; a longer one closes the connection after the answer.
 * Errors: rejects when the body breaks after the head was sent; the connection is closed then, so that the client sees it.
 */
export async function writeAnswer(
  request: IncomingMessage,
  response: ServerResponse,
  answer: S3Answer,
  common: Readonly<Record<string, string>> = {},
): Promise<'sent' | 'client_gone'> {
  const { status = 200, headers = {}, content } = answer;
  const body = content === undefined ? undefined : 'name' in content ? Buffer.from(writeXml(content)) : content;
  await using stream = body instanceof Uint8Array ? undefined : body;
  const head: Record<string, string | number> = { ...common };
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    if (value !== undefined) head[name] = value;
  }
  if (content !== undefined && 'name' in content) head['content-type'] = 'application/xml';
  if (body instanceof Uint8Array) head['content-length'] = body.length;
  else if (head['content-length'] === undefined && status !== 204 && status !== 304) head['content-length'] = 0;
  const isUnread = !request.complete && !request.readableEnded;
  if (isUnread && !isDrainable(request)) head['connection'] = 'close';
  response.writeHead(status, head);
  try {
    const whole = request.method !== 'HEAD' && body instanceof Uint8Array ? body : undefined;
    if (request.method !== 'HEAD' && stream) await pump(stream, response, Number(head['content-length']));
    if (isUnread) {
      if (whole) response.write(whole);
      await drain(request, response);
    }
    if (isUnread || !whole) response.end();
    // As text of one byte a character it leaves in one piece with the head, which costs the system far less than two pieces.
    else if (whole.length <= onePieceSizeBytesMax) response.end(asBuffer(whole).toString('latin1'), 'latin1');
    else response.end(whole);
    return 'sent';
  } catch (error) {
    if (response.destroyed) return 'client_gone';
    response.destroy();
    throw error;
  }
}

function isDrainable(request: IncomingMessage): boolean {
  return request.headers.expect === undefined && Number(request.headers['content-length'] ?? Number.NaN) <= drainSizeBytesMax;
}

/** `promised`: what the head said its length is. Unit: bytes. */
async function pump(stream: ByteStream, response: ServerResponse, promised: number): Promise<void> {
  const gone = new AbortController();
  const onClose = (): void => gone.abort();
  response.once('close', onClose);
  let sent = 0;
  try {
    for await (const chunk of stream) {
      sent += chunk.length;
      if (response.destroyed) throw new Error('The client closed the connection');
      if (!response.write(chunk)) await once(response, 'drain', { signal: gone.signal });
    }
  } finally {
    response.off('close', onClose);
  }
  // A file that was cut while we read it: the client must see a broken answer, not wait for the rest.
  if (sent !== promised) throw new Error(`The object ended after ${sent} of ${promised} bytes`);
}

/** Reads and forgets what is left of a request, so that the client is not cut off while it still sends. */
async function drain(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const neverCame = request.headers.expect !== undefined && !request.readableFlowing && request.readableLength === 0;
  if (neverCame || request.destroyed || response.destroyed) return;
  await new Promise<void>((resolve) => {
    let received = 0;
    const timer = setTimeout(finish, drainTimeMsMax);
    function finish(): void {
      clearTimeout(timer);
      request.off('data', onData).off('end', finish).off('close', finish);
      request.pause();
      resolve();
    }
    function onData(chunk: Uint8Array): void {
      received += chunk.length;
      if (received > drainSizeBytesMax) finish();
    }
    request.on('data', onData).once('end', finish).once('close', finish);
    response.flushHeaders();
    request.resume();
  });
}
