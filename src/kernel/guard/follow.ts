import { backoffMs } from '#lib/backoff.ts';
import { rest } from '#lib/rest.ts';
import { Fault, unavailable } from '../fault.ts';

export interface FollowOptions {
  /** Opens the watch: sends the version at once and after each change, until the signal aborts. */
  readonly watch: (signal: AbortSignal) => AsyncIterable<bigint>;
  /** Called with each version, one after another. When it rejects the watch is opened anew. */
  readonly onVersion: (version: bigint) => Promise<void> | void;
  /** Called when the watch broke and versions may be missed until the next `onVersion`. */
  readonly onLost: (fault: Fault) => void;
  /** Ends following. */
  readonly signal: AbortSignal;
}

const backoff = { firstMs: 50, maxMs: 1000 };

/** Watches a version through restarts of whoever keeps it. Never rejects; resolves when the signal aborts. */
export async function follow({ watch, onVersion, onLost, signal }: FollowOptions): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    try {
      for await (const version of watch(signal)) {
        await onVersion(version);
        failures = 0;
      }
      if (!signal.aborted) onLost(unavailable('The watch ended'));
    } catch (error) {
      if (!signal.aborted) onLost(Fault.from(error));
    }
    failures += 1;
    await rest(backoffMs(backoff, failures), signal, { isRef: false });
  }
}
