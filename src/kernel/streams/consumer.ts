import { type Backoff, backoffMs } from '#lib/backoff.ts';
import { createBell } from '#lib/bell.ts';
import { rest } from '#lib/rest.ts';
import type { Database, Transaction } from '../database/database.ts';
import { migrate } from '../database/migrations.ts';
import { aborted, Fault } from '../fault.ts';
import type { Log } from '../log.ts';
import { consumerMigrations, createConsumerStore, type DeadLetter } from './consumer-store.ts';
import type { StreamEvent, StreamSource } from './streams.ts';

export interface ConsumerOptions {
  /** One cursor per name and database: `search`. */
  readonly name: string;
  readonly source: StreamSource;
  /** Where the effects are written; the cursor lives beside them. */
  readonly database: Database;
  /**
   * Applies a batch, in order, in the transaction that also advances the cursor: both happen or neither, so an event takes
   * effect once. May run again after a failure, with the same or fewer events; has no effects but its statements.
   *
   * A fault that is retryable (`unavailable`) stops the consumer until it passes: it is nobody's fault. Any other error
   * makes the batch run again one event at a time; the failing event is set aside with the later ones of its key and tried
   * again with backoff, while other keys go on; after `attemptsMax` it becomes a dead letter and its key goes on.
   */
  readonly handler: (tx: Transaction, events: readonly StreamEvent[]) => Promise<void>;
  readonly log: Log;
  /** Where a consumer that has no cursor yet begins: `start` (default), `end`, or after a position. */
  readonly from?: 'start' | 'end' | number;
  /** 500 when absent. */
  readonly batchSizeMax?: number;
  /** First delay 200 ms, at most 60 000 ms, 8 attempts when absent. */
  readonly retry?: Partial<Backoff & { readonly attemptsMax: number }>;
  /** How many events may be set aside before the consumer stops and waits for them; 10 000 when absent. */
  readonly parkedMax?: number;
  readonly now?: () => number;
}

export interface ConsumerStatus {
  readonly consumer: string;
  readonly stream: string;
  readonly isRunning: boolean;
  readonly position: number;
  /** Absent when the source is away. */
  readonly head: number | undefined;
  /** Events not yet seen; absent when the source is away. */
  readonly lag: number | undefined;
  /** Events set aside to be tried again, with those waiting behind them. */
  readonly retrying: number;
  readonly deadLetters: number;
  /** Present while the consumer as a whole makes no progress. */
  readonly failure: ConsumerFailure | undefined;
}

export interface ConsumerFailure {
  readonly sinceMs: number;
  readonly attempts: number;
  readonly error: string;
}

export interface Consumer {
  readonly name: string;
  /** Consumes until the signal fires. Several instances of one name are safe: they take turns and none applies an event twice. */
  run(signal: AbortSignal): Promise<void>;
  status(signal: AbortSignal): Promise<ConsumerStatus>;
  /** Goes on after `position`, back or forward; 0 replays everything. Events set aside or dead after it are dropped, as they come again. */
  seek(position: number): Promise<void>;
  deadLetters(options?: { readonly after?: number; readonly limit?: number }): Promise<readonly DeadLetter[]>;
  /** Tries dead letters again, all when no positions are given; they may now come after later events of their key. Result: how many. */
  redeliver(positions?: readonly number[]): Promise<number>;
  /** Gives dead letters up for good. Result: how many. */
  discard(positions: readonly number[]): Promise<number>;
}

/** How often the producer hears how far we are, and how often we look for events that another instance set aside. */
const acknowledgeMs = 1000;
const parkedPollMs = 5000;

export function createConsumer(options: ConsumerOptions): Consumer {
  return new SqlConsumer(options);
}

class SqlConsumer implements Consumer {
  readonly name: string;
  readonly #options: ConsumerOptions;
  readonly #log: Log;
  readonly #retry: Backoff & { readonly attemptsMax: number };
  readonly #store: ReturnType<typeof createConsumerStore>;
  readonly #now: () => number;
  readonly #parkedBell = createBell();
  #restart = new AbortController();
  #ready: Promise<void> | undefined;
  #position = 0;
  #isRunning = false;
  #failure: ConsumerFailure | undefined;

  constructor(options: ConsumerOptions) {
    const { retry = {} } = options;
    this.name = options.name;
    this.#options = options;
    this.#log = options.log.with({ consumer: options.name, stream: options.source.name });
    this.#retry = { firstMs: retry.firstMs ?? 200, maxMs: retry.maxMs ?? 60_000, attemptsMax: retry.attemptsMax ?? 8 };
    this.#now = options.now ?? Date.now;
    this.#store = createConsumerStore(options.name, this.#now);
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#isRunning = true;
    try {
      await Promise.all([this.#consumeLoop(signal), this.#retryLoop(signal), this.#acknowledgeLoop(signal)]);
    } finally {
      this.#isRunning = false;
    }
  }

  async status(signal: AbortSignal): Promise<ConsumerStatus> {
    const { source, database } = this.#options;
    await this.#prepare();
    const { position = 0, retrying, dead } = await this.#store.counts(database);
    const head = await source.head(signal).catch((error: unknown) => {
      if (Fault.from(error).isRetryable) return undefined;
      throw error;
    });
    return {
      consumer: this.name,
      stream: source.name,
      isRunning: this.#isRunning,
      position,
      head,
      lag: head === undefined ? undefined : Math.max(0, head - position),
      retrying,
      deadLetters: dead,
      failure: this.#failure,
    };
  }

  async seek(position: number): Promise<void> {
    await this.#prepare();
    await this.#options.database.transaction((tx) => this.#store.seek(tx, position));
    this.#restartLoop();
  }

  async deadLetters(options: { readonly after?: number; readonly limit?: number } = {}): Promise<readonly DeadLetter[]> {
    await this.#prepare();
    return this.#store.deadLetters(this.#options.database, options.after ?? 0, Math.min(options.limit ?? 100, 1000));
  }

  async redeliver(positions?: readonly number[]): Promise<number> {
    await this.#prepare();
    const count = await this.#options.database.transaction((tx) => this.#store.revive(tx, positions));
    this.#parkedBell.ring();
    return count;
  }

  async discard(positions: readonly number[]): Promise<number> {
    await this.#prepare();
    return this.#options.database.transaction((tx) => this.#store.discard(tx, positions));
  }

  /** Follows the source from the cursor; every trouble ends in another round, after a pause. */
  async #consumeLoop(signal: AbortSignal): Promise<void> {
    const { source, batchSizeMax = 500 } = this.#options;
    while (!signal.aborted) {
      const round = AbortSignal.any([signal, this.#restart.signal]);
      let pauseMs = 0;
      try {
        await this.#prepare();
        this.#position = await this.#begin(round);
        for await (const events of source.subscribe({ after: this.#position, signal: round, batchSizeMax })) {
          if (round.aborted) break;
          await this.#consume(events);
          this.#failure = undefined;
        }
        if (!round.aborted) pauseMs = this.#retry.firstMs; // The source ended the subscription without a reason.
      } catch (error) {
        if (!round.aborted && !isCursorMoved(error)) pauseMs = this.#fail(error);
      }
      if (pauseMs > 0) await rest(pauseMs, round);
    }
  }

  /** The cursor, made when this consumer is new. */
  async #begin(signal: AbortSignal): Promise<number> {
    const { source, database, from = 'start' } = this.#options;
    const known = await this.#store.position(database);
    if (known !== undefined) return known;
    const position = from === 'start' ? 0 : from === 'end' ? await source.head(signal) : from;
    return this.#store.create(database, position);
  }

  /** Applies a batch; when that fails, one event after another, setting aside the one that fails. */
  async #consume(events: readonly StreamEvent[]): Promise<void> {
    try {
      await this.#apply(events);
      return;
    } catch (error) {
      if (isOutage(error) || isCursorMoved(error)) throw error;
      if (events.length === 1 && events[0]) return this.#setAside(events[0], error);
    }
    for (const event of events) {
      try {
        await this.#apply([event]);
      } catch (error) {
        if (isOutage(error) || isCursorMoved(error)) throw error;
        await this.#setAside(event, error);
      }
    }
  }

  /** Effects and cursor in one transaction. Events behind a set-aside one of their key are set aside too. */
  async #apply(events: readonly StreamEvent[]): Promise<void> {
    const last = events.at(-1);
    if (!last) return;
    await this.#options.database.transaction(async (tx) => {
      await this.#advance(tx, last.position);
      const blocked = await this.#store.parkedKeys(tx);
      if (blocked.size === 0) return this.#options.handler(tx, events);
      const waiting = events.filter(({ key }) => blocked.has(key));
      const free = events.filter(({ key }) => !blocked.has(key));
      if (waiting.length > 0)
        await this.#store.park(tx, waiting, { attempts: 0, nextAtMs: 0, error: '' }, this.#options.parkedMax ?? 10_000);
      if (free.length > 0) await this.#options.handler(tx, free);
    });
    this.#position = last.position;
  }

  async #setAside(event: StreamEvent, error: unknown): Promise<void> {
    const attempt = { attempts: 1, nextAtMs: this.#now() + backoffMs(this.#retry, 1), error: describe(error) };
    await this.#options.database.transaction(async (tx) => {
      await this.#advance(tx, event.position);
      await this.#store.park(tx, [event], attempt, this.#options.parkedMax ?? 10_000);
      if (this.#retry.attemptsMax <= 1) await this.#store.fail(tx, event.position, { ...attempt, isDead: true });
    });
    this.#position = event.position;
    this.#log.warn('An event failed and was set aside', { position: event.position, key: event.key, error });
    this.#parkedBell.ring();
  }

  /** Also takes the consumer's lock on PostgreSQL: the cursor's row stays locked until the transaction ends. */
  async #advance(tx: Transaction, to: number): Promise<void> {
    if (await this.#store.advance(tx, this.#position, to)) return;
    throw aborted(`Consumer ${this.name} was moved or is running elsewhere`, { reason: 'cursor_moved' });
  }

  /** Tries events that were set aside when they are due, the oldest of each key. */
  async #retryLoop(signal: AbortSignal): Promise<void> {
    const { database } = this.#options;
    while (!signal.aborted) {
      let waitMs = parkedPollMs;
      try {
        await this.#prepare();
        const heads = await this.#store.parkedHeads(database, 100);
        const now = this.#now();
        const due = heads.filter(({ nextAtMs }) => nextAtMs <= now);
        for (const parked of due) {
          if (signal.aborted) return;
          await this.#tryAgain(parked);
        }
        if (due.length > 0) continue;
        const next = heads[0]?.nextAtMs;
        if (next !== undefined) waitMs = Math.min(parkedPollMs, Math.max(1, next - now));
      } catch (error) {
        if (signal.aborted) return;
        await rest(this.#fail(error), signal);
        continue;
      }
      await this.#parkedBell.wait(waitMs, signal);
    }
  }

  async #tryAgain({ event, attempts }: { readonly event: StreamEvent; readonly attempts: number }): Promise<void> {
    const { database, handler } = this.#options;
    try {
      await database.transaction(async (tx) => {
        await this.#store.lock(tx);
        if (await this.#store.take(tx, event.position, attempts)) await handler(tx, [event]);
      });
    } catch (error) {
      if (isOutage(error)) throw error;
      const isDead = attempts + 1 >= this.#retry.attemptsMax;
      const nextAtMs = this.#now() + backoffMs(this.#retry, attempts + 1);
      await database.transaction((tx) =>
        this.#store.fail(tx, event.position, { attempts: attempts + 1, nextAtMs, error: describe(error), isDead }),
      );
      if (isDead)
        this.#log.error('An event failed too often and is a dead letter now', {
          position: event.position,
          key: event.key,
          error,
        });
    }
  }

  /** Best effort: a producer that hears late keeps events longer than needed. */
  async #acknowledgeLoop(signal: AbortSignal): Promise<void> {
    const { source } = this.#options;
    if (!source.acknowledge) return;
    let acknowledged: number | undefined;
    while (!signal.aborted) {
      try {
        await this.#prepare();
        const position = await this.#store.position(this.#options.database);
        if (position !== undefined && position !== acknowledged) {
          await source.acknowledge(this.name, position, signal);
          acknowledged = position;
        }
      } catch (error) {
        if (!signal.aborted) this.#log.debug('The producer could not be told the position', { error });
      }
      await rest(acknowledgeMs, signal);
    }
  }

  #prepare(): Promise<void> {
    this.#ready ??= migrate(this.#options.database, consumerMigrations, { area: 'consumers' }).then(
      () => undefined,
      (error: unknown) => {
        this.#ready = undefined;
        throw error;
      },
    );
    return this.#ready;
  }

  /** Notes that nothing moves, says so once, and tells how long to wait. */
  #fail(error: unknown): number {
    const attempts = (this.#failure?.attempts ?? 0) + 1;
    if (!this.#failure) this.#log.warn('The consumer is held up', { error });
    this.#failure = { sinceMs: this.#failure?.sinceMs ?? this.#now(), attempts, error: describe(error) };
    return backoffMs({ firstMs: Math.min(50, this.#retry.firstMs), maxMs: Math.min(5000, this.#retry.maxMs) }, attempts);
  }

  #restartLoop(): void {
    const previous = this.#restart;
    this.#restart = new AbortController();
    previous.abort();
  }
}

/** Trouble that passes without anybody changing the event or the handler. */
function isOutage(error: unknown): boolean {
  const fault = Fault.from(error);
  return fault.isRetryable || fault.reason === 'disk_full' || fault.reason === 'parked_full';
}

function isCursorMoved(error: unknown): boolean {
  return error instanceof Fault && error.reason === 'cursor_moved';
}

function describe(error: unknown): string {
  const text =
    error instanceof Error ? `${error.message}${error.cause instanceof Error ? `: ${error.cause.message}` : ''}` : String(error);
  return text.slice(0, 2000);
}
