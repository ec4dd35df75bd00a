import type { Pause, SyncStore } from '../store/store.ts';

/** Whether a person has paused sync; kept over restarts. */
export interface Pausing {
  /** `undefined`: not paused. */
  readonly current: Pause | undefined;
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
  return {
    get current() {
      return current;
    },
    async pause(reason) {
      const next = { sinceMs: current?.sinceMs ?? now(), reason };
      await store.setPause(next);
      current = next;
    },
    async resume() {
      if (!current) return;
      await store.setPause(undefined);
      current = undefined;
      onResume();
    },
  };
}
