/** A stream over a Unix socket, as plain as can be: what is measured is the stream, not a transport. */
import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import type { StreamEvent, StreamSource, SubscribeOptions } from '../src/kernel/streams/streams.ts';

const request = { head: 0, subscribe: 1 } as const;

/** Serves one request per connection: one byte of kind and two numbers, answered with frames of a length and bytes. */
export function serveStream(source: StreamSource, path: string): Server {
  return createServer((socket) => {
    const closing = new AbortController();
    socket.on('close', () => closing.abort());
    socket.on('error', () => closing.abort());
    socket.once('data', (bytes: Buffer) => {
      answer(source, socket, bytes, closing.signal).catch((error: unknown) =>
        socket.destroy(error instanceof Error ? error : new Error(String(error))),
      );
    });
  }).listen(path);
}

async function answer(source: StreamSource, socket: Socket, bytes: Buffer, signal: AbortSignal): Promise<void> {
  if (bytes[0] === request.head) {
    const head = Buffer.alloc(12);
    head.writeUInt32LE(8);
    head.writeDoubleLE(await source.head(signal), 4);
    socket.end(head);
    return;
  }
  const subscription = { after: bytes.readDoubleLE(1), batchSizeMax: bytes.readDoubleLE(9), signal };
  for await (const events of source.subscribe(subscription)) {
    if (!socket.write(encode(events))) await once(socket, 'drain', { signal });
  }
}

/** The other end, in another process. */
export function connectStream(name: string, path: string): StreamSource {
  const ask = (kind: number, after: number, limit: number): Socket => {
    const bytes = Buffer.alloc(17);
    bytes[0] = kind;
    bytes.writeDoubleLE(after, 1);
    bytes.writeDoubleLE(limit, 9);
    const socket = createConnection(path);
    socket.write(bytes);
    return socket;
  };
  const source: StreamSource = {
    name,
    async read(after, limit, signal) {
      for await (const events of source.subscribe({ after, batchSizeMax: limit, signal })) return events;
      return [];
    },
    async head() {
      for await (const frame of frames(ask(request.head, 0, 0))) return frame.readDoubleLE(0);
      throw new Error('The connection closed');
    },
    async *subscribe({ after, signal, batchSizeMax = 1000 }: SubscribeOptions) {
      const socket = ask(request.subscribe, after, batchSizeMax);
      const stop = (): void => void socket.destroy();
      signal.addEventListener('abort', stop, { once: true });
      try {
        for await (const frame of frames(socket)) yield decode(frame);
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        signal.removeEventListener('abort', stop);
        socket.destroy();
      }
    },
  };
  return source;
}

async function* frames(socket: Socket): AsyncGenerator<Buffer> {
  let chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    const first = chunks[0];
    if (!first || size < 4 || (first.length >= 4 && size < 4 + first.readUInt32LE())) continue;
    let bytes = Buffer.concat(chunks, size);
    while (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32LE()) {
      const end = 4 + bytes.readUInt32LE();
      yield bytes.subarray(4, end);
      bytes = bytes.subarray(end);
    }
    chunks = bytes.length > 0 ? [bytes] : [];
    size = bytes.length;
  }
}

const fixedBytes = 28;

function encode(events: readonly StreamEvent[]): Buffer {
  const headers = events.map((event) => JSON.stringify(event.headers));
  let size = 4;
  for (const [index, event] of events.entries()) {
    size += fixedBytes + 3 * (event.key.length + event.type.length + (headers[index]?.length ?? 0)) + event.payload.byteLength;
  }
  const frame = Buffer.allocUnsafe(size);
  let at = 4;
  for (const [index, { position, timeMs, key, type, payload }] of events.entries()) {
    frame.writeDoubleLE(position, at);
    frame.writeDoubleLE(timeMs, at + 8);
    const keyBytes = frame.write(key, at + fixedBytes);
    const typeBytes = frame.write(type, at + fixedBytes + keyBytes);
    const headerBytes = frame.write(headers[index] ?? '{}', at + fixedBytes + keyBytes + typeBytes);
    frame.writeUInt16LE(keyBytes, at + 16);
    frame.writeUInt16LE(typeBytes, at + 18);
    frame.writeUInt32LE(headerBytes, at + 20);
    frame.writeUInt32LE(payload.byteLength, at + 24);
    at += fixedBytes + keyBytes + typeBytes + headerBytes;
    frame.set(payload, at);
    at += payload.byteLength;
  }
  frame.writeUInt32LE(at - 4);
  return frame.subarray(0, at);
}

function decode(frame: Buffer): StreamEvent[] {
  const events: StreamEvent[] = [];
  for (let at = 0; at < frame.length; ) {
    const keyEnd = at + fixedBytes + frame.readUInt16LE(at + 16);
    const typeEnd = keyEnd + frame.readUInt16LE(at + 18);
    const headersEnd = typeEnd + frame.readUInt32LE(at + 20);
    const end = headersEnd + frame.readUInt32LE(at + 24);
    events.push({
      position: frame.readDoubleLE(at),
      timeMs: frame.readDoubleLE(at + 8),
      key: frame.toString('utf8', at + fixedBytes, keyEnd),
      type: frame.toString('utf8', keyEnd, typeEnd),
      headers: JSON.parse(frame.toString('utf8', typeEnd, headersEnd)) as Record<string, string>,
      payload: frame.subarray(headersEnd, end),
    });
    at = end;
  }
  return events;
}
