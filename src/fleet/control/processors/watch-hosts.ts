import type { Log } from '#kernel/log.ts';
import { rest } from '#lib/rest.ts';
import type { Driver } from '../../driver/driver.ts';
import type { StoredHost } from '../store/store.ts';

export interface HostWatchesParts {
  readonly driverOf: (host: string) => Promise<Driver>;
  /** Has a cluster looked at. */
  readonly look: (cluster: string) => void;
  readonly log: Log;
}

export interface HostWatches {
  /** Listens to these from now on, and to no others; ends with the signal. */
  keep(hosts: readonly StoredHost[], signal: AbortSignal): void;
}

const againMsFirst = 1000;
const againMsMax = 60_000;

/**
 * Listens to the engines of hosts, so that what they tell of is looked at when it happens, and not only in the next look at everything. Nothing
 * depends on it: what is not told of, or is told of while nobody listens, is found then.
 */
export function createHostWatches({ driverOf, look, log }: HostWatchesParts): HostWatches {
  const kept = new Map<string, AbortController>();

  async function listen(host: string, signal: AbortSignal): Promise<void> {
    let againMs = againMsFirst;
    while (!signal.aborted) {
      try {
        for await (const cluster of (await driverOf(host)).watch(signal)) {
          againMs = againMsFirst;
          look(cluster);
        }
      } catch (error) {
        if (!signal.aborted) log.debug('an engine is not listened to for a while', { host, error });
      }
      await rest(againMs, signal, { isRef: false });
      againMs = Math.min(againMs * 2, againMsMax);
    }
  }

  return {
    keep(hosts, signal) {
      const wanted = new Set(hosts.filter(({ state }) => state !== 'unreachable').map(({ name }) => name));
      for (const [name, leave] of kept) if (!wanted.has(name)) leave.abort();
      for (const name of wanted) {
        if (kept.has(name)) continue;
        const leave = new AbortController();
        kept.set(name, leave);
        void listen(name, AbortSignal.any([signal, leave.signal])).finally(() => kept.delete(name));
      }
    },
  };
}
