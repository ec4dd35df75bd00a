import { AsyncLocalStorage } from 'node:async_hooks';

/** Who is doing something with objects, as events tell it. Empty texts: not known. */
export interface Actor {
  /** Such as `PutObject`, or `LifecycleExpiration`. */
  readonly operation: string;
  /** The key that was asked for; empty where there are several. */
  readonly key: string;
  readonly userId: string;
  /** IP address. */
  readonly address: string;
  readonly requestId: string;
}

/**
 * On whose behalf the running code changes something. Beside the calls, since every verb of every backend would have to carry what only
 * the events they end in want to know.
 */
export const acting = new AsyncLocalStorage<Actor>();
