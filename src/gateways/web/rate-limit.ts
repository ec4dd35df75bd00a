import { Lru } from '#lib/lru.ts';

export interface RateLimitOptions {
  /** What may be spent at once. */
  readonly burst: number;
  readonly perSecond: number;
  /** Unit: milliseconds, of a clock that only goes forward. */
  readonly now: () => number;
  /** So many are told apart; who was not seen for long begins anew. */
  readonly keysMax?: number;
}

/** How much each of many may spend; what was spent comes back with time. */
export interface RateLimit {
  /** How long to wait until there is something to spend again; 0: there is. Unit: milliseconds. */
  waitMs(key: string): number;
  spend(key: string, amount: number): void;
}

export function createRateLimit({ burst, perSecond, now, keysMax = 10_000 }: RateLimitOptions): RateLimit {
  const spent = new Lru<string, { readonly amount: number; readonly atMs: number }>(keysMax);
  const spentNow = (key: string): number => {
    const { amount, atMs } = spent.get(key) ?? { amount: 0, atMs: 0 };
    return Math.max(0, amount - ((now() - atMs) / 1000) * perSecond);
  };
  return {
    waitMs(key) {
      const over = spentNow(key) - burst + 1;
      return over <= 0 ? 0 : Math.ceil((over / perSecond) * 1000);
    },
    spend(key, amount) {
      spent.set(key, { amount: spentNow(key) + amount, atMs: now() });
    },
  };
}
