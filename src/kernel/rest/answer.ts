import { once } from 'node:events';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Trace } from '../calls/trace.ts';
import { Code, Fault } from '../fault.ts';
import { HttpFault, problemOf, problemType, statusOf } from './problem.ts';

/** A body up to this length is read to its end, so that the connection can be used again. */
const keptSizeBytesMax = 1024 * 1024;
/** What is read at most before a connection is closed on a client that still sends. */
const discardSizeBytesMax = 64 * 1024 * 1024;
/** More than a stream's own limit: big files go out nearly twice as fast. */
const inFlightSizeBytes = 256 * 1024;
const discardTimeMsMax = 2_000;

/** Answers with a text as a whole, in one write. */
export function sendText(response: ServerResponse, status: number, headers: OutgoingHttpHeaders, text: string): void {
  headers['content-length'] = Buffer.byteLength(text);
  response.writeHead(status, headers);
  response.end(text);
}

/**
 * Answers with a problem and leaves the connection so that the next request on it is safe: a body that nobody wants is read up to
 * a limit, a longer one closes the connection after the answer. When the head is out already, the connection is cut instead.
 */
export async function sendProblem(
  request: IncomingMessage,
  response: ServerResponse,
  fault: Fault,
  trace: Trace,
  common: Readonly<Record<string, string>> = {},
): Promise<void> {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const text = JSON.stringify(problemOf(fault, trace.traceId));
  const headers: Record<string, string | number> = {
    ...common,
    'content-type': problemType,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    traceparent: trace.toString(),
    ...(fault instanceof HttpFault ? fault.headers : {}),
    ...(fault.retryAfterMs === undefined ? {} : { 'retry-after': Math.max(1, Math.ceil(fault.retryAfterMs / 1000)) }),
    ...(fault.code === Code.Unauthenticated ? { 'www-authenticate': 'Bearer realm="cellar"' } : {}),
  };
  const isUnread = !request.complete && !request.readableEnded;
  const isSmall =
    request.headers.expect === undefined && Number(request.headers['content-length'] ?? Number.NaN) <= keptSizeBytesMax;
  if (isUnread && !isSmall && request.httpVersionMajor < 2) headers['connection'] = 'close';
  response.writeHead(statusOf(fault), headers);
  if (!isUnread || request.headers.expect !== undefined) {
    response.end(text);
    return;
  }
  response.write(text);
  await discard(request);
  response.end();
}

/** Writes one piece and waits while more than 256 KiB are under way. Errors: `canceled` when the client has gone. */
export async function writePiece(response: ServerResponse, piece: string | Uint8Array): Promise<void> {
  if (response.destroyed || response.closed) throw gone();
  if (response.write(piece) || response.writableLength < inFlightSizeBytes) return;
  const closed = new AbortController();
  const onClose = (): void => closed.abort();
  response.once('close', onClose);
  try {
    await once(response, 'drain', { signal: closed.signal });
  } catch (error) {
    throw gone(error);
  } finally {
    response.off('close', onClose);
  }
}

function gone(cause?: unknown): Fault {
  return new Fault(Code.Canceled, 'The client went away', { cause });
}

/** Reads and forgets what a client still sends, up to a limit, so that it gets to read its answer. */
async function discard(request: IncomingMessage): Promise<void> {
  await new Promise<void>((resolve) => {
    let sizeBytes = 0;
    const timer = setTimeout(finish, discardTimeMsMax);
    function finish(): void {
      clearTimeout(timer);
      request.off('data', onData).off('end', finish).off('error', finish).off('close', finish);
      request.pause();
      resolve();
    }
    function onData(chunk: Uint8Array): void {
      sizeBytes += chunk.length;
      if (sizeBytes > discardSizeBytesMax) finish();
    }
    request.on('data', onData).once('end', finish).once('error', finish).once('close', finish);
    request.resume();
  });
}
