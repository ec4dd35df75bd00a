import type pg from 'pg';
import { backoffMs } from '#lib/backoff.ts';
import { rest } from '#lib/rest.ts';
import type { Log } from '../log.ts';

/** The one channel that all of Cellar uses; the payload is the topic. */
const channel = 'cellar';

export interface Listener {
  listen(topic: string, wake: () => void): () => void;
  close(): Promise<void>;
}

/**
 * A connection of its own that waits for notifications, from the first `listen` to `close`. It connects again whenever it
 * breaks and then wakes everybody, because notifications sent meanwhile are lost.
 */
export function createListener(options: { connect: () => pg.Client; log: Log }): Listener {
  const { connect, log } = options;
  const topics = new Map<string, Set<() => void>>();
  const closing = new AbortController();
  let running: Promise<void> | undefined;

  const wakeAll = (): void => {
    for (const wakes of topics.values()) for (const wake of wakes) wake();
  };

  /** One connection's life; resolves when it has ended, rejects when it could not be made. */
  const session = async (onReady: () => void): Promise<void> => {
    const client = connect();
    const ended = new Promise<void>((resolve) => client.once('end', resolve));
    client.on('error', (error) => log.debug('The connection for notifications broke', { error }));
    client.on('notification', ({ payload = '' }) => {
      for (const wake of topics.get(payload) ?? []) wake();
    });
    const stop = (): void =>
      void client.end().catch((error: unknown) => log.debug('A database connection did not close', { error }));
    try {
      await client.connect();
      await client.query(`listen ${channel}`);
    } catch (error) {
      stop();
      throw error;
    }
    if (closing.signal.aborted) stop();
    closing.signal.addEventListener('abort', stop, { once: true });
    onReady();
    await ended;
    closing.signal.removeEventListener('abort', stop);
  };

  const run = async (): Promise<void> => {
    for (let attempt = 1; !closing.signal.aborted; attempt += 1) {
      try {
        await session(() => {
          attempt = 1;
          wakeAll();
        });
      } catch (error) {
        log.debug('Notifications are not available', { error });
      }
      await rest(backoffMs({ firstMs: 50, maxMs: 5000 }, attempt), closing.signal);
    }
  };

  return {
    listen(topic, wake) {
      const wakes = topics.get(topic) ?? new Set();
      topics.set(topic, wakes);
      const listener = (): void => wake();
      wakes.add(listener);
      if (!closing.signal.aborted) running ??= run();
      return () => {
        wakes.delete(listener);
        if (wakes.size === 0 && topics.get(topic) === wakes) topics.delete(topic);
      };
    },
    async close() {
      closing.abort();
      await running;
    },
  };
}
