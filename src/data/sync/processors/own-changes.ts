import { createBell } from '#lib/bell.ts';

/** How far sync is with what storage itself has changed. */
export interface OwnChanges {
  /** All up to this position was taken in, or another way was found to what it was about. */
  reached(position: number): void;
  /** Resolves when all that has a position now was taken in, or nobody could say so in time. Never rejects. */
  whenTold(): Promise<void>;
}

export interface OwnChangesOptions {
  /** The position of the last change. */
  readonly head: (signal: AbortSignal) => Promise<number>;
  /** How long notifications wait while the objects service or the index is away; 2 000 when absent. */
  readonly patienceMs?: number;
  readonly signal: AbortSignal;
}

export function createOwnChanges({ head, patienceMs = 2000, signal }: OwnChangesOptions): OwnChanges {
  const bell = createBell();
  let taken = -1;
  return {
    reached(position) {
      taken = position;
      bell.ring();
    },
    async whenTold() {
      const patience = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
      // Who cannot say how far it is tells of nothing now; a notification does no harm then.
      const target = await head(patience).catch(() => 0);
      while (taken < target && !patience.aborted) await bell.wait(patienceMs, patience);
    },
  };
}
