import { backoffMs } from '#lib/backoff.ts';
import { rest } from '#lib/rest.ts';
import type { RedisConnection } from '../database/redis.ts';
import { Fault, unavailable } from '../fault.ts';
import type { Log } from '../log.ts';
import type { StreamEvent, StreamSource, SubscribeOptions } from './streams.ts';

/**
 * Streams over Redis, for many readers on several machines. The table in the producer's database stays the truth; Redis
 * holds its newest part. A position is the entry `position-0`, so Redis itself refuses what a relay sends twice and keeps
 * the order. Because positions have no gaps, a reader sees at once when Redis lost something (a restart, trimming) and
 * reads that part from the table.
 */
export interface RedisRelayOptions {
  /** The table's stream. */
  readonly source: StreamSource;
  readonly redis: RedisConnection;
  readonly log: Log;
  /** How many events Redis keeps, about; 100 000 when absent. */
  readonly countMax?: number;
  readonly batchSizeMax?: number;
}

export interface RedisSourceOptions {
  /** The same stream read from its table, directly or from another process. */
  readonly source: StreamSource;
  readonly redis: RedisConnection;
  readonly log: Log;
  /** How long to wait for Redis before looking at the table, in case the relay is away; 2 000 when absent. */
  readonly pollMs?: number;
}

/** How often a reader asks whether Redis is back. */
const catchUp = { firstMs: 20, maxMs: 500 };

const keyOf = (name: string): string => `cellar:stream:${name}`;

/** Copies a stream to Redis until the signal fires. Several relays at once do no harm. Errors: none; it goes on by itself. */
export async function runRedisRelay(options: RedisRelayOptions, signal: AbortSignal): Promise<void> {
  const { source, log, batchSizeMax = 500 } = options;
  let isBehindTrim = false;
  for (let attempt = 0; !signal.aborted; ) {
    try {
      // What was trimmed before it was copied leaves a hole in Redis; readers take that part for trimmed, too.
      const after = isBehindTrim ? await source.head(signal) : await startingPoint(options, signal);
      isBehindTrim = false;
      for await (const events of source.subscribe({ after, signal, batchSizeMax })) {
        await send(options, events);
        attempt = 0;
      }
    } catch (error) {
      if (signal.aborted) return;
      attempt += 1;
      isBehindTrim = error instanceof Fault && error.reason === 'stream_trimmed';
      log.warn('The relay to Redis is held up', { stream: source.name, error });
      await rest(backoffMs({ firstMs: 50, maxMs: 5000 }, attempt), signal);
    }
  }
}

/** The last position in Redis. When that is past the table's end, the table was restored from a backup: Redis starts anew. */
async function startingPoint({ source, redis }: RedisRelayOptions, signal: AbortSignal): Promise<number> {
  const last = await lastPosition(redis, source.name);
  if (last <= (await source.head(signal))) return last;
  await redis.call('DEL', keyOf(source.name));
  return 0;
}

async function send({ source, redis, countMax = 100_000 }: RedisRelayOptions, events: readonly StreamEvent[]): Promise<void> {
  const key = keyOf(source.name);
  const replies = await redis.pipeline(
    events.map(({ position, timeMs, key: eventKey, type, headers, payload }) => [
      'XADD',
      key,
      'MAXLEN',
      '~',
      countMax,
      `${position}-0`,
      'k',
      eventKey,
      't',
      type,
      'm',
      timeMs,
      'h',
      JSON.stringify(headers),
      'p',
      payload,
    ]),
  );
  const fault = replies.find((reply) => reply instanceof Fault && !isAlreadyThere(reply));
  if (fault) throw fault;
}

/** Another relay, or this one before its connection broke, has added the entry or a later one. */
function isAlreadyThere({ cause }: Fault): boolean {
  return cause instanceof Error && cause.message.includes('equal or smaller than the target stream top item');
}

async function lastPosition(redis: RedisConnection, name: string): Promise<number> {
  const newest = (await redis.call('XREVRANGE', keyOf(name), '+', '-', 'COUNT', 1)) as [id: string, fields: string[]][];
  return newest[0] ? Number.parseInt(newest[0][0], 10) : 0;
}

/** Reads a stream from Redis, and from its table where Redis has a hole or is away. */
export function createRedisSource(options: RedisSourceOptions): StreamSource {
  return new RedisSource(options);
}

class RedisSource implements StreamSource {
  readonly name: string;
  readonly #options: RedisSourceOptions;

  constructor(options: RedisSourceOptions) {
    this.name = options.source.name;
    this.#options = options;
  }

  async read(after: number, limit: number, signal: AbortSignal): Promise<readonly StreamEvent[]> {
    const { redis, source } = this.#options;
    try {
      const entries = (await redis.callBytes('XRANGE', keyOf(this.name), `(${after}-0`, '+', 'COUNT', limit)) as Entry[];
      const events = contiguous(entries, after);
      if (events.length > 0) return events;
    } catch (error) {
      this.#noteAway(error);
    }
    return source.read(after, limit, signal);
  }

  head(signal: AbortSignal): Promise<number> {
    return this.#options.source.head(signal);
  }

  async *subscribe({ after, signal, batchSizeMax = 1000 }: SubscribeOptions): AsyncGenerator<readonly StreamEvent[]> {
    const { source, pollMs = 2000 } = this.#options;
    const redis = this.#options.redis.duplicate();
    const stop = (): void => void redis.close();
    signal.addEventListener('abort', stop, { once: true });
    try {
      let position = after;
      let attempt = 0;
      while (!signal.aborted) {
        const askedAt = performance.now();
        const found = await this.#block(redis, position, batchSizeMax, pollMs).catch((error: unknown) => this.#noteAway(error));
        if (signal.aborted) return;
        // Nothing came: nothing happened, Redis has a hole here, or the relay stands still. The table knows.
        const events = found?.length === 0 ? await source.read(position, batchSizeMax, signal) : (found ?? []);
        const isBehind = found === undefined || (found.length === 0 && events.length > 0);
        const last = events.at(-1);
        if (last) {
          position = last.position;
          attempt = 0;
          yield events;
        } else if (!isBehind && performance.now() - askedAt < pollMs / 2) {
          attempt += 1; // Redis did not block, so we do.
          await rest(backoffMs({ firstMs: 10, maxMs: pollMs }, attempt), signal);
        }
        if (!isBehind) continue;
        for await (const batch of this.#followTable(redis, { after: position, signal, batchSizeMax })) {
          position = batch.at(-1)?.position ?? position;
          yield batch;
        }
      }
    } finally {
      signal.removeEventListener('abort', stop);
      await redis.close();
    }
  }

  /** The table, as it grows, until Redis has all that was read from it. */
  async *#followTable(redis: RedisConnection, options: SubscribeOptions): AsyncGenerator<readonly StreamEvent[]> {
    const over = new AbortController();
    const signal = AbortSignal.any([options.signal, over.signal]);
    let position = options.after;
    const waiting = this.#untilCaughtUp(redis, () => position, signal).then(() => over.abort());
    try {
      for await (const events of this.#options.source.subscribe({ ...options, signal })) {
        position = events.at(-1)?.position ?? position;
        yield events;
      }
    } finally {
      over.abort();
      await waiting;
    }
  }

  /** Resolves when Redis answers and holds what is at `position`, or when the signal fires. Never rejects. */
  async #untilCaughtUp(redis: RedisConnection, position: () => number, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      await rest(backoffMs(catchUp, attempt), signal);
      try {
        if (!signal.aborted && (await lastPosition(redis, this.name)) >= position()) return;
      } catch (error) {
        this.#noteAway(error);
      }
    }
  }

  async acknowledge(consumer: string, position: number, signal: AbortSignal): Promise<void> {
    const { source } = this.#options;
    if (!source.acknowledge) throw unavailable(`Stream ${this.name} takes no acknowledgements`);
    await source.acknowledge(consumer, position, signal);
  }

  async #block(redis: RedisConnection, after: number, count: number, blockMs: number): Promise<StreamEvent[]> {
    const reply = (await redis.callBytes(
      'XREAD',
      'COUNT',
      count,
      'BLOCK',
      blockMs,
      'STREAMS',
      keyOf(this.name),
      `${after}-0`,
    )) as StreamsReply | null;
    const entries = reply === null ? [] : Array.isArray(reply[0]) ? reply[0][1] : (reply[1] as Entry[] | undefined);
    return contiguous(entries ?? [], after);
  }

  #noteAway(error: unknown): undefined {
    this.#options.log.debug('Redis is away; reading the table', { stream: this.name, error });
    return undefined;
  }
}

/** An entry's id and its fields, name and value by turns. */
type Entry = readonly [id: Buffer, fields: readonly Buffer[]];

/** XREAD's reply: pairs of stream and entries (protocol 2), or the same flat (protocol 3). */
type StreamsReply = readonly [readonly [Buffer, Entry[]]] | readonly [Buffer, Entry[]];

/** The entries that follow `after` without a hole. */
function contiguous(entries: readonly Entry[], after: number): StreamEvent[] {
  const events: StreamEvent[] = [];
  for (const [id, fields] of entries) {
    const position = Number.parseInt(id.toString('latin1'), 10);
    if (position !== after + events.length + 1) break;
    events.push(toEvent(position, fields));
  }
  return events;
}

/** The fields in the order in which `send` writes them. */
function toEvent(position: number, fields: readonly Buffer[]): StreamEvent {
  const [, key, , type, , timeMs, , headers, , payload] = fields;
  if (!key || !type || !timeMs || !headers || !payload) throw new Error(`Entry ${position} in Redis is not an event`);
  return {
    position,
    timeMs: Number(timeMs.toString('latin1')),
    key: key.toString(),
    type: type.toString(),
    headers: JSON.parse(headers.toString()) as Record<string, string>,
    payload,
  };
}
