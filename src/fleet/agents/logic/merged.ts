/** Several sources at once, each value as it comes. */
export async function* merged<T>(sources: readonly AsyncIterable<T>[]): AsyncGenerator<T> {
  const readers = sources.map((source) => source[Symbol.asyncIterator]());
  const next = (at: number) => readers[at]!.next().then((result) => ({ at, result }));
  const pending = new Map(readers.map((_, at) => [at, next(at)]));
  try {
    while (pending.size > 0) {
      const { at, result } = await Promise.race(pending.values());
      if (result.done) pending.delete(at);
      else {
        pending.set(at, next(at));
        yield result.value;
      }
    }
  } finally {
    for (const [at, waiting] of pending) {
      waiting.catch(() => undefined); // Nobody comes for it any more.
      void readers[at]?.return?.(undefined).catch(() => undefined);
    }
  }
}
