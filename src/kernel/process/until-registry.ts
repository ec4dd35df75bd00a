import type { Registry } from '../services/registry.ts';

/** Resolves when the condition holds, asked now and at every change of the registry. Errors: what `isMet` throws; the signal's reason. */
export async function untilRegistry(registry: Registry, signal: AbortSignal, isMet: () => boolean): Promise<void> {
  signal.throwIfAborted();
  if (isMet()) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const unwatch = registry.watch(() => {
    try {
      if (isMet()) resolve();
    } catch (error) {
      reject(error);
    }
  });
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await promise;
  } finally {
    unwatch();
    signal.removeEventListener('abort', onAbort);
  }
}
