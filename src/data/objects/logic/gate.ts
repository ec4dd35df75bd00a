/** Lets many tasks run beside each other, or one that must be alone. */
export interface Gate {
  /** Waits while somebody is alone. */
  pass<T>(task: () => Promise<T>): Promise<T>;
  /** Waits until nobody is inside and lets nobody in until it has ended. */
  alone<T>(task: () => Promise<T>): Promise<T>;
}

export function createGate(): Gate {
  let inside = 0;
  let closed: Promise<void> | undefined;
  let onEmpty: (() => void) | undefined;
  return {
    async pass(task) {
      while (closed) await closed;
      inside += 1;
      try {
        return await task();
      } finally {
        inside -= 1;
        if (inside === 0) onEmpty?.();
      }
    },
    async alone(task) {
      while (closed) await closed;
      const { promise, resolve: reopen } = Promise.withResolvers<void>();
      closed = promise;
      try {
        if (inside > 0) await new Promise<void>((resolve) => (onEmpty = resolve));
        return await task();
      } finally {
        onEmpty = undefined;
        closed = undefined;
        reopen();
      }
    },
  };
}
