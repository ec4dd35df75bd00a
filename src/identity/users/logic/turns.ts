import { exhausted } from '#kernel/fault.ts';

/** Lets a few tasks run at a time and a bounded number wait. */
export interface Turns {
  /** Errors: `resource_exhausted` when too many wait; the signal's reason when it aborts before the turn comes; those of the task. */
  run<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T>;
}

export interface TurnsOptions {
  readonly atOnceMax: number;
  readonly waitingMax: number;
  /** Completes "Cannot ...: too many are waiting". */
  readonly what: string;
}

export function createTurns({ atOnceMax, waitingMax, what }: TurnsOptions): Turns {
  let running = 0;
  const waiting: (() => void)[] = [];
  const begin = (signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted();
    if (running < atOnceMax) {
      running++;
      return Promise.resolve();
    }
    if (waiting.length >= waitingMax) {
      throw exhausted(`Cannot ${what}: too many are waiting`, { reason: 'too_many_waiting', retryAfterMs: 1000 });
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        waiting.splice(waiting.indexOf(start), 1);
        reject(signal.reason);
      };
      const start = (): void => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      waiting.push(start);
      signal.addEventListener('abort', leave, { once: true });
    });
  };
  return {
    async run(task, signal) {
      await begin(signal);
      try {
        return await task();
      } finally {
        // The turn is handed on, not given back, so that nobody slips in between.
        const next = waiting.shift();
        if (next) next();
        else running--;
      }
    },
  };
}
