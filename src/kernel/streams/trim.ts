import { rest } from '#lib/rest.ts';
import type { Log } from '../log.ts';
import type { Stream, TrimOptions } from './streams.ts';

/** How often; trimming removes in small pieces, so there is no hurry. */
const everyMs = 600_000;

/** Keeps a stream within bounds until the signal fires; trouble is logged and tried again next time. */
export async function keepTrimmed(
  stream: Stream,
  bounds: Omit<TrimOptions, 'signal'>,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const removed = await stream.trim({ ...bounds, signal });
      if (removed > 0) log.debug('old events were removed', { stream: stream.name, removed });
    } catch (error) {
      if (!signal.aborted) log.warn('a stream could not be trimmed', { stream: stream.name, error });
    }
    await rest(everyMs, signal);
  }
}
