import { setTimeout as sleep } from 'node:timers/promises';

/** Waits; rejects with `AbortError` when the signal fires first. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, signal ? { signal } : {});
}
