import { once } from 'node:events';
import type { Database, Transaction } from './database.ts';

/** Says what `migrations` of a service with counters contain. */
export const counterTable = 'create table counters (name {text} primary key, value bigint not null)';

/** How long a watcher may miss a change made by another process. Unit: milliseconds. */
const pollMs = 2000;

/** A number in the database that only grows: the version of what a service keeps, by which caches elsewhere are dropped. */
export interface Counter {
  read(): Promise<number>;
  /**
   * Adds one in the caller's transaction; result: the new value. Transactions that grow the same counter wait for each other until they
   * end, so growing it first also puts them in order.
   */
  grow(tx: Transaction): Promise<number>;
  /** The value at once, and again after every change, until the signal aborts; changes in quick succession arrive as one. */
  watch(signal: AbortSignal): AsyncGenerator<number, void, undefined>;
}

export function createCounter(database: Database, name: string): Counter {
  const topic = `counter.${name}`;
  const read = async (): Promise<number> =>
    (await database.get<{ value: number }>('select value from counters where name = $1', name))?.value ?? 0;
  return {
    read,
    async grow(tx) {
      const row = await tx.get<{ value: number }>(
        'insert into counters (name, value) values ($1, 1) on conflict (name) do update set value = counters.value + 1 returning value',
        name,
      );
      if (!row) throw new Error(`Counter ${name} did not grow`);
      await tx.notify(topic);
      return row.value;
    },
    async *watch(signal) {
      const bell = new EventTarget();
      const ring = (): void => void bell.dispatchEvent(new Event('ring'));
      const stop = database.listen(topic, ring);
      const timer = setInterval(ring, pollMs).unref();
      try {
        let last: number | undefined;
        while (!signal.aborted) {
          // Armed before the read, so that a change during the read is not missed.
          const rung = once(bell, 'ring', { signal });
          rung.catch(() => undefined);
          const value = await read();
          if (value !== last) {
            last = value;
            yield value;
          }
          await rung;
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        clearInterval(timer);
        stop();
      }
    },
  };
}
