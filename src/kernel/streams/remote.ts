import type { EventBatch } from '#gen/cellar/kernel/v1/streams_pb.ts';
import { type Event, Streams } from '#gen/cellar/kernel/v1/streams_pb.ts';
import { type Backoff, backoffMs } from '#lib/backoff.ts';
import { rest } from '#lib/rest.ts';
import type { Client } from '../calls/client.ts';
import { type Binding, implement } from '../calls/dispatcher.ts';
import { Code, Fault, notFound, unavailable } from '../fault.ts';
import type { StreamEvent, StreamSource, SubscribeOptions } from './streams.ts';

/** A message carries events up to about this size, or one that is larger. */
const batchBytesMax = 1 << 20;
const readDefault = 1000;
const backoffDefault: Backoff = { firstMs: 50, maxMs: 5000 };

/** The streams of one service, for other processes. Subscriptions end when `stopping` fires, so that none holds up the service's stop. */
export function serveStreams(sources: readonly StreamSource[], stopping: AbortSignal): Binding {
  const byName = new Map(sources.map((source) => [source.name, source]));
  const find = (name: string): StreamSource => {
    const source = byName.get(name);
    if (!source) throw notFound(`There is no stream ${JSON.stringify(name)} here`, { reason: 'stream_missing' });
    return source;
  };
  return implement(Streams, {
    async head({ stream }, call) {
      return { position: BigInt(await find(stream).head(call.signal)) };
    },
    async read({ stream, after, limit }, call) {
      const events = await find(stream).read(Number(after), limit || readDefault, call.signal);
      return { events: (batches(events)[0] ?? []).map(toMessage) };
    },
    async *subscribe({ stream, after }, call) {
      const signal = AbortSignal.any([call.signal, stopping]);
      for await (const events of find(stream).subscribe({ after: Number(after), signal })) {
        for (const batch of batches(events)) yield { events: batch.map(toMessage) };
      }
      if (stopping.aborted) throw unavailable('The service that keeps the stream is stopping', { reason: 'stopping' });
    },
  });
}

export interface RemoteStreamOptions {
  /** Of the service that keeps the stream. */
  readonly client: Client<typeof Streams>;
  readonly name: string;
  /** Waits while the service is away. */
  readonly backoff?: Backoff;
}

/**
 * A stream of another service. A subscription outlives the service's restarts: it goes on after the last event once the service is back.
 * Other faults, such as `stream_trimmed`, end it.
 */
export function createRemoteStream({ client, name, backoff = backoffDefault }: RemoteStreamOptions): StreamSource {
  return {
    name,
    async read(after, limit, signal) {
      const { events } = await client.read({ stream: name, after: BigInt(after), limit }, { signal });
      return events.map(fromMessage);
    },
    async head(signal) {
      return Number((await client.head({ stream: name }, { signal })).position);
    },
    async *subscribe({ after, signal }: SubscribeOptions) {
      let position = after;
      let failures = 0;
      while (!signal.aborted) {
        try {
          for await (const batch of follow(client, name, position, signal)) {
            failures = 0;
            const events = batch.events.map(fromMessage);
            position = events.at(-1)?.position ?? position;
            if (events.length > 0) yield events;
            if (signal.aborted) return;
          }
        } catch (error) {
          if (signal.aborted) return;
          if (!isAway(error)) throw error;
        }
        failures += 1;
        await rest(backoffMs(backoff, failures), signal);
      }
    },
  };
}

function follow(client: Client<typeof Streams>, stream: string, after: number, signal: AbortSignal): AsyncIterable<EventBatch> {
  return client.subscribe({ stream, after: BigInt(after) }, { signal });
}

/** Also when the service is being replaced and the one that answers is not it yet. */
function isAway(error: unknown): boolean {
  const fault = Fault.from(error);
  return fault.isRetryable || fault.code === Code.Canceled;
}

function batches(events: readonly StreamEvent[]): StreamEvent[][] {
  const out: StreamEvent[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const event of events) {
    bytes += event.payload.byteLength + 100;
    if (bytes > batchBytesMax) {
      out.push([]);
      bytes = event.payload.byteLength;
    }
    out.at(-1)?.push(event);
  }
  return out;
}

function toMessage({ position, key, type, payload, headers, timeMs }: StreamEvent) {
  return { position: BigInt(position), key, type, payload, headers: { ...headers }, timeMs: BigInt(timeMs) };
}

function fromMessage({ position, key, type, payload, headers, timeMs }: Event): StreamEvent {
  return { position: Number(position), key, type, payload, headers, timeMs: Number(timeMs) };
}
