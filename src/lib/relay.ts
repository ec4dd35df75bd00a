/**
 * What work tells while it goes on, as a stream; it ends with the work, and rejects with it. What is not read yet waits, so tell little. A reader
 * that stops early waits for the work to end.
 */
export async function* relay<T>(work: (tell: (value: T) => void) => Promise<void>): AsyncGenerator<T> {
  let values: T[] = [];
  let news = Promise.withResolvers<void>();
  let isOver = false;
  const working = work((value) => {
    values.push(value);
    news.resolve();
  }).finally(() => {
    isOver = true;
    news.resolve();
  });
  // Its error is thrown at the end, where it is awaited.
  working.catch(() => undefined);
  try {
    while (!isOver || values.length > 0) {
      await news.promise;
      news = Promise.withResolvers();
      const told = values;
      values = [];
      yield* told;
    }
  } finally {
    await working;
  }
}
