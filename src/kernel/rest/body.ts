import type { IncomingMessage } from 'node:http';
import { deadlines } from '../calls/deadlines.ts';
import { Code, exhausted, Fault, invalidArgument } from '../fault.ts';
import { jsonMistake } from './json-position.ts';
import { HttpFault } from './problem.ts';

const pieceSizeBytes = 256 * 1024;
/** A JSON body has to be here after this long. */
const jsonTimeMsMax = 30_000;
/** A raw body may take as long as it likes but not pause for longer than this while it is waited for. */
const pauseMsMax = 60_000;

/** Length that the request says its body has; undefined when it comes in chunks. Unit: bytes. */
export function bodySizeBytes(request: IncomingMessage): number | undefined {
  const header = request.headers['content-length'];
  if (header !== undefined) return Number(header);
  const isChunked = request.headers['transfer-encoding'] !== undefined || (request.httpVersionMajor >= 2 && !request.complete);
  return isChunked ? undefined : 0;
}

/**
 * The body as JSON; undefined when it is empty. `isAnyType`: whatever the content type says.
 * Errors: `invalid_argument` with status 415 for another content type, 413 for more than `sizeBytesMax`, 400 for what is not JSON.
 */
export async function readJsonBody(request: IncomingMessage, sizeBytesMax: number, isAnyType = false): Promise<unknown> {
  const sizeBytes = bodySizeBytes(request);
  if (sizeBytes === 0) return undefined;
  if (sizeBytes !== undefined && sizeBytes > sizeBytesMax) throw tooLarge(sizeBytesMax);
  if (!isAnyType) assertJsonType(request);
  const text = await readText(request, sizeBytesMax);
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    const mistake = jsonMistake(text);
    const where = mistake ? `: it goes wrong at line ${mistake.line}, column ${mistake.column}` : '';
    throw invalidArgument(`The body is not JSON${where}`, { reason: 'invalid_json', cause: error });
  }
}

/** The raw body in pieces of 256 KiB, the last one smaller; read only as fast as it is taken. Errors: `canceled` when the client goes. */
export async function* readPieces(request: IncomingMessage, sizeBytesMax: number): AsyncGenerator<Uint8Array, void, undefined> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  let totalBytes = 0;
  let isTaken = true;
  const timer = setTimeout(() => {
    // Whoever takes the pieces may be slow; only the client may not.
    if (isTaken) request.destroy(new Error(`Nothing was sent for ${pauseMsMax} ms`));
    else timer.refresh();
  }, pauseMsMax);
  try {
    // The connection stays open when reading ends early: an answer has yet to go over it.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      timer.refresh();
      totalBytes += chunk.length;
      if (totalBytes > sizeBytesMax) throw tooLarge(sizeBytesMax);
      held.push(chunk);
      heldBytes += chunk.length;
      if (heldBytes < pieceSizeBytes) continue;
      isTaken = false;
      yield held.length === 1 ? chunk : Buffer.concat(held, heldBytes);
      isTaken = true;
      timer.refresh();
      held = [];
      heldBytes = 0;
    }
  } catch (error) {
    throw error instanceof Fault ? error : new Fault(Code.Canceled, 'The client went away while it sent', { cause: error });
  } finally {
    clearTimeout(timer);
  }
  if (heldBytes > 0) yield Buffer.concat(held, heldBytes);
}

export function tooLarge(sizeBytesMax: number): Fault {
  const fault = exhausted(`The body is larger than ${sizeBytesMax} bytes`, {
    reason: 'body_too_large',
    hint: 'Send less at once, or have the limit raised by an administrator.',
  });
  return new HttpFault(413, fault);
}

function assertJsonType(request: IncomingMessage): void {
  const type = request.headers['content-type'] ?? '';
  if (type === 'application/json' || /^application\/(?:[\w.-]+\+)?json\s*(?:;\s*charset="?utf-8"?\s*)?$/i.test(type)) return;
  const fault = invalidArgument(
    type === '' ? 'The body has no content type' : `The body has the content type "${type.slice(0, 100)}"`,
    {
      reason: 'unsupported_media_type',
      hint: 'Send JSON in UTF-8 with "content-type: application/json".',
    },
  );
  throw new HttpFault(415, fault, { accept: 'application/json' });
}

function readText(request: IncomingMessage, sizeBytesMax: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    let isSettled = false;
    // Listeners are left where they are: they go with the request, and taking them off costs more than all they do.
    const fail = (fault: Fault): void => {
      deadlines.delete(deadline);
      isSettled = true;
      reject(fault);
    };
    const deadline = deadlines.add(jsonTimeMsMax, () => {
      const fault = new Fault(Code.DeadlineExceeded, `The body was not here after ${jsonTimeMsMax} ms`, {
        reason: 'body_too_slow',
      });
      fail(new HttpFault(408, fault, { connection: 'close' }));
    });
    request.on('data', (chunk: Buffer) => {
      if (isSettled) return;
      sizeBytes += chunk.length;
      chunks.push(chunk);
      if (sizeBytes <= sizeBytesMax) return;
      request.pause();
      fail(tooLarge(sizeBytesMax));
    });
    request.on('end', () => {
      if (isSettled) return;
      deadlines.delete(deadline);
      isSettled = true;
      const [only] = chunks;
      const bytes = chunks.length === 1 && only ? only : Buffer.concat(chunks, sizeBytes);
      const text = bytes.toString('utf8');
      // A replacement character is either in the text itself, or stands for bytes that are no UTF-8.
      if (text.includes('\ufffd') && Buffer.from(text).compare(bytes) !== 0)
        reject(invalidArgument('The body is not UTF-8', { reason: 'invalid_json' }));
      else resolve(text.startsWith('\ufeff') ? text.slice(1) : text);
    });
    // Comes after every error too, and without a listener a broken request emits none.
    request.on('close', () => {
      if (!isSettled) fail(new Fault(Code.Canceled, 'The client went away while it sent'));
    });
  });
}
