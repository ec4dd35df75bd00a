import { isIPv6 } from 'node:net';
import { exhausted } from '#kernel/fault.ts';

/** Slows guessing down: after some failures each further attempt has to wait twice as long as the one before. */
export interface LoginLimit {
  /**
   * Counts an attempt, as a failure until it is said to be none: attempts at the same time do not slip through.
   * `origin` is a network address, empty when unknown. Errors: `resource_exhausted` with `retryAfterMs`.
   */
  begin(name: string, origin: string): Attempt;
}

export interface Attempt {
  /** The password was right: the name's failures are forgotten, the origin's stay, less this one. */
  succeed(): void;
  /** It was not decided whether the password is right. */
  undo(): void;
}

export interface LimitRule {
  /** Failures without any wait. */
  readonly freeCount: number;
  /** First wait; it doubles with every failure. Unit: milliseconds. */
  readonly waitMs: number;
  readonly waitMsMax: number;
}

/** Without a failure for this long all is forgotten. Unit: milliseconds. */
const forgetMs = 60 * 60 * 1000;
/** Names and origins remembered, each. */
const entriesMax = 10_000;

export const nameRule: LimitRule = { freeCount: 5, waitMs: 1000, waitMsMax: 5 * 60 * 1000 };
export const originRule: LimitRule = { freeCount: 20, waitMs: 1000, waitMsMax: 5 * 60 * 1000 };

export function createLoginLimit(now: () => number): LoginLimit {
  const names = new Failures(nameRule, now);
  const origins = new Failures(originRule, now);
  return {
    begin(name, address) {
      const origin = originOf(address);
      const waitMs = Math.max(names.waitMs(name), origin ? origins.waitMs(origin) : 0);
      if (waitMs > 0) {
        throw exhausted('Cannot sign in: there were too many failed attempts', {
          reason: 'too_many_attempts',
          retryAfterMs: waitMs,
          hint: `Try again in ${Math.ceil(waitMs / 1000)} s.`,
        });
      }
      names.add(name, 1);
      if (origin) origins.add(origin, 1);
      return {
        succeed() {
          names.clear(name);
          if (origin) origins.add(origin, -1);
        },
        undo() {
          names.add(name, -1);
          if (origin) origins.add(origin, -1);
        },
      };
    },
  };
}

/** One customer of a provider has all addresses of an IPv6 network of 64 bits, so they count as one. */
function originOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.replace(/%.*$/, '').split('::') as [string, string?];
  const groups = head === '' ? [] : head.split(':');
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === '' ? 0 : tail.split(':').length);
  const all = [...groups, ...Array<string>(Math.max(0, missing)).fill('0'), ...(tail ? tail.split(':') : [])];
  return `${all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}

class Failures {
  /** In the order of their last change: the first is the one to forget. */
  readonly #entries = new Map<string, { count: number; lastMs: number }>();
  readonly #rule: LimitRule;
  readonly #now: () => number;

  constructor(rule: LimitRule, now: () => number) {
    this.#rule = rule;
    this.#now = now;
  }

  waitMs(key: string): number {
    const entry = this.#entries.get(key);
    if (!entry) return 0;
    const { freeCount, waitMs, waitMsMax } = this.#rule;
    const delayMs = entry.count < freeCount ? 0 : Math.min(waitMs * 2 ** (entry.count - freeCount), waitMsMax);
    return Math.max(0, entry.lastMs + delayMs - this.#now());
  }

  add(key: string, difference: number): void {
    const known = this.#entries.get(key);
    const nowMs = this.#now();
    const count = known && nowMs - known.lastMs < forgetMs ? known.count : 0;
    this.#entries.delete(key);
    if (count + difference <= 0) return;
    if (this.#entries.size >= entriesMax) this.#forgetOldest();
    this.#entries.set(key, { count: count + difference, lastMs: difference > 0 ? nowMs : (known?.lastMs ?? nowMs) });
  }

  clear(key: string): void {
    this.#entries.delete(key);
  }

  #forgetOldest(): void {
    for (const key of this.#entries.keys()) {
      this.#entries.delete(key);
      return;
    }
  }
}
