import type { Database } from '#kernel/database/database.ts';
import type { NewEvent, Stream } from '#kernel/streams/streams.ts';
import type { ApplyOptions, TreeChange, TreeEvent, TreeStore } from '../store/store.ts';
import type { SourcePosition } from './source-position.ts';

export interface ApplyParts {
  readonly database: Database;
  readonly store: TreeStore;
  readonly stream: Stream;
  readonly sourcePosition: SourcePosition;
  readonly encode: (event: TreeEvent) => NewEvent;
}

export interface Applied {
  readonly events: readonly TreeEvent[];
  /** Of the last event, or the stream's head when there is none. */
  readonly position: number;
}

export type ApplyChanges = (changes: readonly TreeChange[], options: ApplyOptions, signal: AbortSignal) => Promise<Applied>;

/** What a stream takes at once. */
const eventsMax = 10_000;
const timeoutMs = 120_000;

/** Changes, their events and the position they cover commit together; then those who wait for the position are woken. */
export function createApplyChanges({ database, store, stream, sourcePosition, encode }: ApplyParts): ApplyChanges {
  return async (changes, options, signal) => {
    const { sourcePosition: covered } = options;
    const applied = await database.transaction(
      async (tx): Promise<Applied> => {
        const events = await store.apply(tx, changes, options);
        let position = 0;
        for (let at = 0; at < events.length; at += eventsMax) {
          const piece = events.slice(at, at + eventsMax);
          position = (await stream.append(tx, piece.map(encode))) + piece.length - 1;
        }
        if (covered !== undefined) tx.afterCommit(() => sourcePosition.set(covered));
        return { events, position };
      },
      { signal, timeoutMs },
    );
    return applied.position > 0 ? applied : { ...applied, position: await stream.head(signal) };
  };
}
