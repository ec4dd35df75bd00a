import { createBell } from '#lib/bell.ts';
import { bootId } from '../boot-id.ts';
import { type Database, join, type Row, type Session, type Transaction } from '../database/database.ts';
import { type Migration, migrate } from '../database/migrations.ts';
import { Fault, invalidArgument } from '../fault.ts';
import {
  type KnownConsumer,
  type NewEvent,
  type Stream,
  type StreamEvent,
  type SubscribeOptions,
  streamRewound,
  streamTrimmed,
  type TrimOptions,
} from './streams.ts';

export interface OpenStreamOptions {
  /** The producer's database. */
  readonly database: Database;
  /** Lower-case words with dots and dashes, at most 40 characters: `data.index.changes`. */
  readonly name: string;
  /** Milliseconds since 1970; the system's clock when absent. */
  readonly now?: () => number;
  /** How often subscribers look without being woken; 1 000 when absent. Covers writers in other processes on SQLite, and lost notifications. */
  readonly pollMs?: number;
  /** Which start of the machine this is; as the system says when absent. */
  readonly boot?: string;
}

const eventsMax = 10_000;
const payloadBytesMax = 1 << 20;
const keyLengthMax = 1024;
const readMax = 10_000;
const trimChunk = 10_000;

/** Rows of one insert; few sizes, so that few statements are prepared. */
const chunkSizes = [256, 32, 4, 1] as const;

const noHeaders: Readonly<Record<string, string>> = Object.freeze({});

const migrationsFor = (table: string): readonly Migration[] => [
  {
    id: 1,
    name: 'events',
    sql: `create table ${table} (
            position {integer_key}, time_ms bigint not null, key {text} not null, type {text} not null, headers {text}, payload {bytes} not null
          );
          create table if not exists cellar_streams (name {text} primary key, head bigint not null, trimmed bigint not null);
          create table if not exists cellar_stream_consumers (
            stream {text} not null, consumer {text} not null, position bigint not null, seen_at bigint not null, primary key (stream, consumer)
          )`,
  },
  {
    id: 2,
    name: 'boots',
    sql: 'create table if not exists cellar_stream_boots (name {text} primary key, boot {text} not null)',
  },
];

/** More than a power cut can take of events that were read already. */
const jump = 2 ** 32;

/**
 * Opens a stream: a table of its own in the producer's database, made when missing.
 *
 * Positions come from one counter row that appenders lock until they commit. That makes positions follow commits and
 * leaves no gaps, on PostgreSQL too, where a sequence would let readers pass an event that commits late.
 *
 * A power cut may take the last events of a database that is not durable, after readers had them. Their positions are never given to other
 * events: when the machine was started since, the stream goes on far above, and readers of what was before are told that it is gone
 * (`stream_trimmed`).
 */
export async function openStream(options: OpenStreamOptions): Promise<Stream> {
  const { database, name } = options;
  if (!/^[a-z][a-z0-9.-]{0,39}$/.test(name))
    throw invalidArgument(`Cannot open stream ${JSON.stringify(name)}: not a plain name`);
  await migrate(database, migrationsFor(`"stream_${name}"`), { area: `stream ${name}` });
  await database.run('insert into cellar_streams (name, head, trimmed) values ($1, 0, 0) on conflict (name) do nothing', name);
  if (!database.isDurable) await passPowerCut(database, name, options.boot ?? bootId());
  return new SqlStream(options);
}

async function passPowerCut(database: Database, name: string, boot: string): Promise<void> {
  await database.transaction(async (tx) => {
    const known = await tx.get<{ boot: string }>('select boot from cellar_stream_boots where name = $1', name);
    if (known?.boot === boot) return;
    if (known) {
      await tx.run(`delete from "stream_${name}"`);
      await tx.run('update cellar_streams set head = head + $1, trimmed = head + $1 where name = $2', jump, name);
    }
    await tx.run(
      'insert into cellar_stream_boots (name, boot) values ($1, $2) on conflict (name) do update set boot = excluded.boot',
      name,
      boot,
    );
  });
  // Else the next cut takes the jump, and the next jump leads to the same place.
  await database.sync();
}

interface EventRow extends Row {
  readonly position: number;
  readonly timeMs: number;
  readonly key: string;
  readonly type: string;
  readonly headers: string | null;
  readonly payload: Uint8Array;
}

class SqlStream implements Stream {
  readonly database: Database;
  readonly name: string;
  readonly #table: string;
  readonly #topic: string;
  readonly #insert: string;
  readonly #select: string;
  readonly #now: () => number;
  readonly #pollMs: number;

  constructor({ database, name, now = Date.now, pollMs = 1000 }: OpenStreamOptions) {
    this.database = database;
    this.name = name;
    this.#table = `"stream_${name}"`;
    this.#topic = `stream ${name}`;
    this.#insert = `insert into ${this.#table} (position, time_ms, key, type, headers, payload) values`;
    this.#select = `select position, time_ms as "timeMs", key, type, headers, payload from ${this.#table} where position > $1 order by position limit $2`;
    this.#now = now;
    this.#pollMs = pollMs;
  }

  async append(session: Session, events: readonly NewEvent[]): Promise<number> {
    assertWithinLimits(this.name, events);
    return join(session, async (tx) => {
      const counter = await tx.get<{ head: number }>(
        'update cellar_streams set head = head + $1 where name = $2 returning head',
        events.length,
        this.name,
      );
      if (!counter) throw new Error(`Stream ${this.name} lost its counter row`);
      const first = counter.head - events.length + 1;
      await this.#insertChunks(tx, first, events);
      await tx.notify(this.#topic);
      return first;
    });
  }

  async read(after: number, limit: number, signal: AbortSignal): Promise<StreamEvent[]> {
    if (signal.aborted) throw Fault.from(signal.reason);
    const rows = await this.database.all<EventRow>(this.#select, after, Math.min(limit, readMax));
    const first = rows[0];
    if (first && first.position !== after + 1) throw streamTrimmed(this.name, after);
    if (!first) await this.#assertInRange(after);
    // What a power cut could still take is passed on to nobody: its positions would be given to other events.
    else if (this.database.isDurable) await this.database.sync();
    return rows.map(toEvent);
  }

  async head(signal: AbortSignal): Promise<number> {
    if (signal.aborted) throw Fault.from(signal.reason);
    return (await this.#counter()).head;
  }

  async *subscribe({ after, signal, batchSizeMax = 1000 }: SubscribeOptions): AsyncGenerator<readonly StreamEvent[]> {
    const bell = createBell();
    const stop = this.database.listen(this.#topic, bell.ring);
    try {
      let position = after;
      while (!signal.aborted) {
        const events = await this.read(position, batchSizeMax, signal);
        const last = events.at(-1);
        if (last) {
          position = last.position;
          yield events;
        } else {
          await bell.wait(this.#pollMs, signal);
        }
      }
    } finally {
      stop();
    }
  }

  async acknowledge(consumer: string, position: number): Promise<void> {
    await this.database.run(
      `insert into cellar_stream_consumers (stream, consumer, position, seen_at) values ($1, $2, $3, $4)
       on conflict (stream, consumer) do update set position = excluded.position, seen_at = excluded.seen_at`,
      this.name,
      consumer,
      position,
      this.#now(),
    );
  }

  consumers(): Promise<readonly KnownConsumer[]> {
    return this.database.all<KnownConsumer & Row>(
      'select consumer, position, seen_at as "seenAtMs" from cellar_stream_consumers where stream = $1 order by consumer',
      this.name,
    );
  }

  async forgetConsumer(consumer: string): Promise<void> {
    await this.database.run('delete from cellar_stream_consumers where stream = $1 and consumer = $2', this.name, consumer);
  }

  async trim(options: TrimOptions): Promise<number> {
    const end = await this.#trimEnd(options);
    let removed = 0;
    for (let { trimmed } = await this.#counter(); trimmed < end; ) {
      if (options.signal?.aborted) throw Fault.from(options.signal.reason);
      const upTo = Math.min(end, trimmed + trimChunk);
      removed += await this.database.transaction(async (tx) => {
        const { changes } = await tx.run(`delete from ${this.#table} where position <= $1`, upTo);
        await tx.run('update cellar_streams set trimmed = $1 where name = $2 and trimmed < $1', upTo, this.name);
        return changes;
      });
      trimmed = upTo;
    }
    return removed;
  }

  /** The last position that may be removed. */
  async #trimEnd({ ageMsMax, countMax, pastConsumers = false }: TrimOptions): Promise<number> {
    const { head } = await this.#counter();
    let end = countMax === undefined ? 0 : head - countMax;
    if (ageMsMax !== undefined) {
      const young = await this.database.get<{ position: number }>(
        `select position from ${this.#table} where time_ms >= $1 order by position limit 1`,
        this.#now() - ageMsMax,
      );
      end = Math.max(end, young ? young.position - 1 : head);
    }
    if (pastConsumers) return end;
    return (await this.consumers()).reduce((least, { position }) => Math.min(least, position), end);
  }

  async #insertChunks(tx: Transaction, first: number, events: readonly NewEvent[]): Promise<void> {
    const timeMs = this.#now();
    for (let done = 0; done < events.length; ) {
      const size = chunkSizes.find((candidate) => candidate <= events.length - done) ?? 1;
      const params = events
        .slice(done, done + size)
        .flatMap(({ key, type, headers, payload }, index) => [
          first + done + index,
          timeMs,
          key,
          type,
          encodeHeaders(headers),
          payload,
        ]);
      await tx.run(`${this.#insert} ${valuesList(size)}`, ...params);
      done += size;
    }
  }

  async #assertInRange(after: number): Promise<void> {
    const { head, trimmed } = await this.#counter();
    if (trimmed > after) throw streamTrimmed(this.name, after);
    if (head < after) throw streamRewound(this.name, after, head);
  }

  async #counter(): Promise<{ head: number; trimmed: number }> {
    const counter = await this.database.get<{ head: number; trimmed: number }>(
      'select head, trimmed from cellar_streams where name = $1',
      this.name,
    );
    return counter ?? { head: 0, trimmed: 0 };
  }
}

function toEvent({ position, timeMs, key, type, headers, payload }: EventRow): StreamEvent {
  return {
    position,
    timeMs,
    key,
    type,
    headers: headers === null ? noHeaders : (JSON.parse(headers) as Record<string, string>),
    payload,
  };
}

function encodeHeaders(headers: NewEvent['headers']): string | null {
  return headers === undefined ? null : JSON.stringify(headers);
}

function valuesList(rows: number): string {
  const row = (index: number): string => `(${[1, 2, 3, 4, 5, 6].map((column) => `$${index * 6 + column}`).join(', ')})`;
  return Array.from({ length: rows }, (_, index) => row(index)).join(', ');
}

function assertWithinLimits(name: string, events: readonly NewEvent[]): void {
  const refuse = (what: string): never => {
    throw invalidArgument(`Cannot append to stream ${name}: ${what}`);
  };
  if (events.length === 0) refuse('no events');
  if (events.length > eventsMax) refuse(`${events.length} events at once, at most ${eventsMax}`);
  for (const { key, payload } of events) {
    if (key.length > keyLengthMax) refuse(`a key of ${key.length} characters, at most ${keyLengthMax}`);
    if (payload.byteLength > payloadBytesMax) refuse(`a payload of ${payload.byteLength} bytes, at most ${payloadBytesMax}`);
  }
}
