import { createBell } from '#lib/bell.ts';
import { rest } from '#lib/rest.ts';
import { aborted, Fault } from '../fault.ts';
import type { Log } from '../log.ts';

/**
 * A name that one holder has at a time, until it lets go or fails to renew.
 *
 * Time alone cannot make that safe: a holder that was stopped for a while may still believe it holds. So writers pass
 * `epoch` along and whatever they write to refuses an older one, see `fenced`.
 */
export interface Lease {
  readonly name: string;
  readonly holder: string;
  /** The fencing token: greater each time the name is taken. */
  readonly epoch: number;
  /** Fires when the lease is lost (reason: `Fault` with reason `lease_lost`) or released. Stop working then. */
  readonly signal: AbortSignal;
  /** Lets go, so that others need not wait for the end of its time. Never rejects: when it cannot be said, the time runs out. */
  release(): Promise<void>;
}

export interface LeaseRequest {
  /** Who asks; for people that look at it. */
  readonly holder: string;
  /** How long the lease outlives its holder; renewed every third of it. At least 30. */
  readonly ttlMs: number;
}

export interface LeaseState {
  readonly holder: string;
  readonly epoch: number;
  /** How long it lasts without renewal. */
  readonly remainingMs: number;
}

export interface Leases {
  /** The lease, or undefined when somebody else has it. Errors: `unavailable` when the store is away. */
  tryAcquire(name: string, request: LeaseRequest): Promise<Lease | undefined>;
  /** Waits until the name is free, through outages of the store too. Errors: `canceled` by the signal. */
  acquire(name: string, request: LeaseRequest, signal: AbortSignal): Promise<Lease>;
  /** Who holds a name now; undefined when nobody does. */
  read(name: string): Promise<LeaseState | undefined>;
}

/** What keeps leases for several programs. Each verb is atomic and measures time by the store's own clock. */
export interface LeaseStore {
  /** Takes a free or expired name; its new epoch, or undefined when it is held. */
  take(name: string, holder: string, ttlMs: number): Promise<number | undefined>;
  /** Lengthens the lease of that epoch; false when it is not the current one. */
  renew(name: string, epoch: number, ttlMs: number): Promise<boolean>;
  /** Frees the name when the epoch is the current one. */
  release(name: string, epoch: number): Promise<void>;
  read(name: string): Promise<LeaseState | undefined>;
  /** Calls `wake` when a name may have become free; a hint. Returns how to stop. */
  listen?(name: string, wake: () => void): () => void;
}

/** Time as a holder sees it: never set back, whatever happens to the wall clock. */
export interface LeaseClock {
  monotonicMs(): number;
  /** Returns after `ms`, or when the signal fires. */
  rest(ms: number, signal: AbortSignal): Promise<void>;
}

export interface LeasesOptions {
  readonly store: LeaseStore;
  readonly log: Log;
  readonly clock?: LeaseClock;
}

const systemClock: LeaseClock = { monotonicMs: () => performance.now(), rest };

/** How often somebody who waits looks, whatever the length of the lease. */
const waitMsMax = 1000;

export function createLeases({ store, log, clock = systemClock }: LeasesOptions): Leases {
  const tryAcquire = async (name: string, { holder, ttlMs }: LeaseRequest): Promise<Lease | undefined> => {
    if (!(ttlMs >= 30)) throw new TypeError(`A lease of ${ttlMs} ms is too short to be renewed`);
    const askedAt = clock.monotonicMs();
    const epoch = await store.take(name, holder, ttlMs);
    return epoch === undefined ? undefined : new HeldLease({ name, holder, epoch, ttlMs, askedAt, store, log, clock });
  };
  return {
    tryAcquire,
    async acquire(name, request, signal) {
      const bell = createBell();
      const stop = store.listen?.(name, bell.ring);
      try {
        for (;;) {
          if (signal.aborted) throw Fault.from(signal.reason);
          const lease = await tryAcquire(name, request).catch((error: unknown) => {
            if (!Fault.from(error).isRetryable) throw error;
            log.debug('A lease could not be asked for', { lease: name, error });
          });
          if (lease && !signal.aborted) return lease;
          await lease?.release();
          await bell.wait(Math.min(waitMsMax, request.ttlMs / 3) * (0.75 + Math.random() / 2), signal);
        }
      } finally {
        stop?.();
      }
    },
    read: (name) => store.read(name),
  };
}

interface HeldOptions {
  readonly name: string;
  readonly holder: string;
  readonly epoch: number;
  readonly ttlMs: number;
  /** When the request that took the lease was sent; the store cannot have counted from earlier. */
  readonly askedAt: number;
  readonly store: LeaseStore;
  readonly log: Log;
  readonly clock: LeaseClock;
}

class HeldLease implements Lease {
  readonly #options: HeldOptions;
  readonly #ended = new AbortController();
  #validUntil: number;

  constructor(options: HeldOptions) {
    this.#options = options;
    this.#validUntil = options.askedAt + options.ttlMs;
    void this.#watch();
    void this.#renew();
  }

  get name(): string {
    return this.#options.name;
  }

  get holder(): string {
    return this.#options.holder;
  }

  get epoch(): number {
    return this.#options.epoch;
  }

  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  async release(): Promise<void> {
    if (this.signal.aborted) return;
    const { store, name, epoch, log } = this.#options;
    this.#ended.abort(aborted(`The lease ${name} was released`, { reason: 'lease_released' }));
    try {
      await store.release(name, epoch);
    } catch (error) {
      log.warn('A lease could not be released and will run out', { lease: name, error });
    }
  }

  /** Ends the lease when its time is up, even while a renewal hangs. */
  async #watch(): Promise<void> {
    const { clock } = this.#options;
    while (!this.signal.aborted) {
      const remainingMs = this.#validUntil - clock.monotonicMs();
      if (remainingMs <= 0) this.#lose('it could not be renewed in time');
      else await clock.rest(remainingMs, this.signal);
    }
  }

  /** Renews at every third of the time, faster after a failure. A renewal counts from when it was sent. */
  async #renew(): Promise<void> {
    const { store, name, epoch, ttlMs, clock, log } = this.#options;
    let pauseMs = ttlMs / 3;
    while (!this.signal.aborted) {
      await clock.rest(pauseMs, this.signal);
      if (this.signal.aborted) return;
      const sentAt = clock.monotonicMs();
      try {
        const isRenewed = await store.renew(name, epoch, ttlMs);
        if (clock.monotonicMs() >= this.#validUntil) this.#lose('it could not be renewed in time');
        else if (isRenewed) this.#validUntil = sentAt + ttlMs;
        else this.#lose('another holder has taken it');
        pauseMs = ttlMs / 3;
      } catch (error) {
        log.warn('A lease could not be renewed yet', { lease: name, error });
        pauseMs = ttlMs / 10;
      }
    }
  }

  #lose(why: string): void {
    if (this.signal.aborted) return;
    const { name, epoch, log } = this.#options;
    log.warn('A lease was lost', { lease: name, epoch, why });
    this.#ended.abort(aborted(`The lease ${name} was lost: ${why}`, { reason: 'lease_lost' }));
  }
}
