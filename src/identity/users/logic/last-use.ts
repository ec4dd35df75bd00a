import type { Log } from '#kernel/log.ts';
import type { UserStore } from '../store/store.ts';

const flushMs = 10_000;

/** Remembers when credentials were last used and writes it now and then, so that reading a token writes nothing. */
export interface LastUse {
  note(credential: string, timeMs: number): void;
  /** The last use not yet written; 0 when there is none. */
  get(credential: string): number;
  flush(): Promise<void>;
  /** Writes what is left, and ends. */
  stop(): Promise<void>;
}

export function createLastUse(store: Pick<UserStore, 'touchCredentials'>, log: Log): LastUse {
  let noted = new Map<string, number>();
  let writing = new Map<string, number>();
  const flush = async (): Promise<void> => {
    if (noted.size === 0 || writing.size > 0) return;
    [writing, noted] = [noted, new Map()];
    try {
      await store.touchCredentials(writing);
    } catch (error) {
      // Kept for the next time, unless used again meanwhile.
      for (const [id, timeMs] of writing) if (!noted.has(id)) noted.set(id, timeMs);
      log.warn('could not write when credentials were last used', { error });
    } finally {
      writing = new Map();
    }
  };
  const timer = setInterval(() => void flush(), flushMs).unref();
  return {
    note: (credential, timeMs) => void noted.set(credential, timeMs),
    get: (credential) => noted.get(credential) ?? writing.get(credential) ?? 0,
    flush,
    async stop() {
      clearInterval(timer);
      await flush();
    },
  };
}
