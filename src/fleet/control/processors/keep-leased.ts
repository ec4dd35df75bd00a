import { hostname } from 'node:os';
import type { Lease } from '#kernel/leases/leases.ts';
import type { Micro } from '#kernel/services/service.ts';
import { rest } from '#lib/rest.ts';

const ttlMs = 10_000;
const retryMs = 1000;

/** Does the work while this replica has the lease, again and again until the service ends; the other replicas wait for it meanwhile. */
export async function keepLeased(
  { leases: open, signal, log }: Pick<Micro, 'leases' | 'signal' | 'log'>,
  name: string,
  work: (lease: Lease, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const leases = await open();
  while (!signal.aborted) {
    try {
      const held = await leases.acquire(name, { holder: hostname(), ttlMs }, signal);
      await work(held, AbortSignal.any([signal, held.signal]));
      await held.release();
    } catch (error) {
      if (signal.aborted) return;
      log.warn('work under a lease was cut off', { lease: name, error });
      await rest(retryMs, signal);
    }
  }
}
