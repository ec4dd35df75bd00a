import { Code, Fault } from '#kernel/fault.ts';

/** How far the index covers its storage's change stream, and those who wait for it to cover more. */
export interface SourcePosition {
  readonly value: number;
  /** Called after each commit that moved the position; it may go back. */
  set(value: number): void;
  /**
   * Resolves once `value` is covered. Errors: `deadline_exceeded` with reason `index_behind` after `timeoutMs`, so that clients do not wait
   * again by themselves; the signal's reason.
   */
  reach(value: number, signal: AbortSignal): Promise<void>;
}

export function createSourcePosition(start: number, timeoutMs: number): SourcePosition {
  let current = start;
  const waiting = new Set<{ readonly value: number; readonly done: () => void }>();
  return {
    get value() {
      return current;
    },
    set(value) {
      current = value;
      for (const waiter of waiting) if (waiter.value <= value) waiter.done();
    },
    reach(value, signal) {
      if (current >= value) return Promise.resolve();
      return new Promise((resolve, reject) => {
        const end = (settle: () => void) => () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', abort);
          waiting.delete(waiter);
          settle();
        };
        const waiter = { value, done: end(resolve) };
        const abort = end(() => reject(signal.reason));
        const behind = (): Fault =>
          new Fault(Code.DeadlineExceeded, `The index covers position ${current} of its storage, not yet ${value}`, {
            reason: 'index_behind',
          });
        const timer = setTimeout(
          end(() => reject(behind())),
          timeoutMs,
        );
        waiting.add(waiter);
        if (signal.aborted) abort();
        else signal.addEventListener('abort', abort, { once: true });
      });
    },
  };
}
