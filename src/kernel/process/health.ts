import type { Log } from '../log.ts';
import { checkOnce } from '../services/check.ts';
import type { Started } from '../services/launcher.ts';
import { type Registry, ServiceState } from '../services/registry.ts';

export interface HealthOptions {
  /** What runs in this process now. */
  readonly started: () => readonly Started[];
  readonly registry: Registry;
  /** Unit: milliseconds; also how long one check may take. */
  readonly everyMs: number;
  readonly log: Log;
}

/** Checks the services of this process from time to time; one whose check fails is `unhealthy` until a check succeeds. Result: ends it. */
export function watchHealth({ started, registry, everyMs, log }: HealthOptions): () => void {
  const busy = new Set<string>();
  const checkOne = async ({ name, running }: Started): Promise<void> => {
    if (!running.check || busy.has(name)) return;
    busy.add(name);
    const reason = await checkOnce(running, everyMs);
    busy.delete(name);
    const registration = registry.get(name);
    const wasUnhealthy = registration?.state === ServiceState.Unhealthy;
    if (!registration || (registration.state !== ServiceState.Ready && !wasUnhealthy)) return;
    if (reason === registration.reason && wasUnhealthy === (reason !== '')) return;
    if (reason) log.warn('a service is unhealthy', { service: name, reason });
    else log.info('a service is healthy again', { service: name });
    registry.set({ ...registration, state: reason ? ServiceState.Unhealthy : ServiceState.Ready, reason });
  };
  const timer = setInterval(() => {
    for (const one of started()) void checkOne(one);
  }, everyMs).unref();
  return () => clearInterval(timer);
}
