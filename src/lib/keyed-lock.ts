/** Runs tasks of one key one after another, in the order they came, and tasks of different keys at the same time. */
export interface KeyedLock {
  run<T>(key: string, task: () => Promise<T>): Promise<T>;
}

export function createKeyedLock(): KeyedLock {
  const tails = new Map<string, Promise<void>>();
  return {
    async run(key, task) {
      const before = tails.get(key);
      const { promise: mine, resolve: release } = Promise.withResolvers<void>();
      tails.set(key, mine);
      await before;
      try {
        return await task();
      } finally {
        release();
        if (tails.get(key) === mine) tails.delete(key);
      }
    },
  };
}
