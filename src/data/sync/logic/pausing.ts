import type { Pause, SyncStore } from '../store/store.ts';

/** Whether a person has paused sync; kept over restarts. */
export interface Pausing {
  /** `undefined`: not paused. */
  readonly current: Pause | undefined;
  /** Aborts when a pause begins; another one after each. */
  readonly signal: AbortSignal;
  /** Pausing again keeps the time and takes the new reason. */
  pause(reason: string): Promise<void>;
  resume(): Promise<void>;
}

export interface PausingOptions {
  readonly store: Pick<SyncStore, 'pause' | 'setPause'>;
  readonly now: () => number;
  /** Called after a pause has ended. */
  readonly onResume: () => void;
}

export async function createPausing({ store, now, onResume }: PausingOptions): Promise<Pausing> {
  let current = await store.pause();
  let unpaused = new AbortController();
  return {
    get current() {
      return current;
    },
    get signal() {
      return unpaused.signal;
    },
    async pause(reason) {
      const next = { sinceMs: current?.sinceMs ?? now(), reason };
      await store.setPause(next);
      current = next;
      unpaused.abort();
    },
    async resume() {
      if (!current) return;
      await store.setPause(undefined);
      current = undefined;
      unpaused = new AbortController();
      onResume();
    },
  };
}
