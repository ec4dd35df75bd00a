import type { Database, Session } from '../database/database.ts';
import { Code, Fault } from '../fault.ts';

/** Something that happened, as the producer tells it. */
export interface NewEvent {
  /** What it happened to; events with one key are handled in order. At most 1 024 characters. */
  readonly key: string;
  /** What happened, such as `file.created`. */
  readonly type: string;
  /** Any bytes, at most 1 MiB; an encoded message of the contract as a rule. */
  readonly payload: Uint8Array;
  /** What travels beside the payload, such as the trace. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface StreamEvent extends Required<NewEvent> {
  /** Its place in the stream: 1, 2, 3 ... in the order of commits, with no gaps. */
  readonly position: number;
  /** When it was appended, by the producer's clock; milliseconds since 1970. */
  readonly timeMs: number;
}

export interface SubscribeOptions {
  /** The last position already known; 0 for everything. */
  readonly after: number;
  readonly signal: AbortSignal;
  /** 1 000 when absent. */
  readonly batchSizeMax?: number;
}

/**
 * The reading side of a stream, wherever it lives: the same database, another process, or Redis. An adapter for another
 * transport carries these calls and nothing else.
 *
 * Errors, on every verb: `unavailable` when the source is away: ask again from the last position. `out_of_range` with reason
 * `stream_trimmed` when events after `after` were removed already, or `stream_rewound` when the stream ends before `after`
 * (the producer was restored from a backup).
 */
export interface StreamSource {
  readonly name: string;
  /** Up to `limit` events after a position, oldest first; none when there is nothing newer. */
  read(after: number, limit: number, signal: AbortSignal): Promise<readonly StreamEvent[]>;
  /** The newest position; 0 when nothing was appended yet. */
  head(signal: AbortSignal): Promise<number>;
  /**
   * Batches of one event or more, in order and without gaps, as soon as they are committed; ends when the signal fires. The
   * next batch is fetched when it is asked for, so a slow reader holds nothing up but itself.
   */
  subscribe(options: SubscribeOptions): AsyncIterable<readonly StreamEvent[]>;
  /** Says how far a consumer has come, so that `trim` keeps what it still needs. May be called seldom or never. */
  acknowledge?(consumer: string, position: number, signal: AbortSignal): Promise<void>;
}

/** A stream with its producer's side. */
export interface Stream extends StreamSource {
  readonly database: Database;
  /**
   * Appends in the caller's transaction: the change and its events commit together or not at all. Appenders of one stream
   * wait for each other until they commit, so append last.
   *
   * Result: the position of the first event; the others follow one by one. 10 000 events at most.
   * Errors: `invalid_argument` when a limit is broken; else those of `Sql`.
   */
  append(session: Session, events: readonly NewEvent[]): Promise<number>;
  /** Removes old events; result: how many. */
  trim(options: TrimOptions): Promise<number>;
  /** Who has acknowledged, and how far. */
  consumers(): Promise<readonly KnownConsumer[]>;
  /** Lets `trim` go past a consumer that will not come back. */
  forgetConsumer(consumer: string): Promise<void>;
}

export interface TrimOptions {
  /** Events older than this may go. */
  readonly ageMsMax?: number;
  /** Events beyond this many may go. */
  readonly countMax?: number;
  /** Removes events that a known consumer has not seen, too; it will find `stream_trimmed`. Default false. */
  readonly pastConsumers?: boolean;
  readonly signal?: AbortSignal;
}

export interface KnownConsumer {
  readonly consumer: string;
  readonly position: number;
  readonly seenAtMs: number;
}

export function streamTrimmed(name: string, after: number): Fault {
  return new Fault(Code.OutOfRange, `Events of stream ${name} after position ${after} were removed already`, {
    reason: 'stream_trimmed',
    hint: 'Rebuild what the consumer holds from its source, then move the consumer to the head of the stream.',
  });
}

export function streamRewound(name: string, after: number, head: number): Fault {
  return new Fault(
    Code.OutOfRange,
    `Stream ${name} ends at ${head}, before position ${after}: its database was restored from a backup`,
    {
      reason: 'stream_rewound',
      hint: 'Rebuild what the consumer holds from its source, then move the consumer to the head of the stream.',
    },
  );
}
