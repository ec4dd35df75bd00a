import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Message } from '@bufbuild/protobuf';
import type { Trace } from '../calls/trace.ts';
import { Fault } from '../fault.ts';
import { writePiece } from './answer.ts';
import type { WriteJson } from './json.ts';
import { problemOf } from './problem.ts';

/** How long the head waits for the first message: a call that fails at once is answered with its own status. */
const headGraceMs = 250;

export interface StreamAnswerOptions {
  readonly headers: OutgoingHttpHeaders;
  readonly trace: Trace;
  /** How often something is sent while nothing happens, so that both sides notice a dead connection. Unit: milliseconds. */
  readonly keepAliveMs: number;
  readonly write: WriteJson;
  /** Id of a message for `Last-Event-ID`; undefined: it has none. */
  readonly idOf: (message: Message) => string | undefined;
  /** Asked before each message and while nothing happens: a stream outlives what let its reader in. Errors: why it ends. */
  readonly assertStillMay: () => unknown;
  /** Ends the call behind the stream. */
  readonly end: () => void;
}

/** How a stream of messages looks on the wire. */
interface Format {
  readonly contentType: string;
  readonly message: (json: string, id: string | undefined) => string;
  readonly fault: (json: string) => string;
  readonly keepAlive: string;
  readonly end: string;
}

/** One JSON text a line. A fault after the head is the last line, `{"@error": {...}}`; empty lines mean nothing. */
const ndjson: Format = {
  contentType: 'application/x-ndjson',
  message: (json) => `${json}\n`,
  fault: (json) => `{"@error":${json}}\n`,
  keepAlive: '\n',
  end: '',
};

/** Source: HTML, "Server-sent events". The last event is `end`, or `error` with a problem. */
const eventStream: Format = {
  contentType: 'text/event-stream',
  message: (json, id) => (id === undefined ? `data: ${json}\n\n` : `id: ${id}\ndata: ${json}\n\n`),
  fault: (json) => `event: error\ndata: ${json}\n\n`,
  keepAlive: ': still here\n\n',
  end: 'event: end\ndata: {}\n\n',
};

/** Errors: those of the stream, as long as the head is not out; after that they are sent as the stream's last item. */
export async function sendStream(
  request: IncomingMessage,
  response: ServerResponse,
  messages: AsyncIterable<Message>,
  options: StreamAnswerOptions,
): Promise<void> {
  const format = request.headers.accept?.includes('text/event-stream') ? eventStream : ndjson;
  const iterator = messages[Symbol.asyncIterator]();
  const beginning = iterator.next();
  const grace = Promise.withResolvers<void>();
  const timer = setTimeout(grace.resolve, headGraceMs);
  try {
    await Promise.race([beginning, grace.promise]);
  } finally {
    clearTimeout(timer);
  }
  response.writeHead(200, {
    ...options.headers,
    'content-type': format.contentType,
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  response.flushHeaders();
  let withdrawn: unknown;
  const beat = async (): Promise<void> => {
    try {
      await options.assertStillMay();
      if (!response.writableEnded) response.write(format.keepAlive);
    } catch (error) {
      withdrawn = error;
      options.end();
    }
  };
  const heartbeat = setInterval(() => void beat(), options.keepAliveMs);
  try {
    for (let next = await beginning; !next.done; next = await iterator.next()) {
      const asked = options.assertStillMay();
      if (asked instanceof Promise) await asked;
      await writePiece(response, format.message(options.write(next.value), options.idOf(next.value)));
      heartbeat.refresh();
    }
    if (withdrawn !== undefined) throw withdrawn;
    response.end(format.end);
  } catch (error) {
    if (response.destroyed) throw error;
    const fault = Fault.from(withdrawn ?? error);
    response.end(format.fault(JSON.stringify(problemOf(fault, options.trace.traceId))));
  } finally {
    clearInterval(heartbeat);
    await iterator.return?.();
  }
}
