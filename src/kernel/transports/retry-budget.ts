import { pause } from '#lib/pause.ts';
import type { RetryOptions } from '../calls/client.ts';
import { Fault } from '../fault.ts';

export interface RetryBudgetOptions {
  /** Retries in a burst. Default 100. */
  readonly tokensMax?: number;
  /** Retries that may follow each other for long. Default 20. */
  readonly tokensPerSecond?: number;
  /** Unit: milliseconds. */
  readonly now?: () => number;
}

/** How many calls a process may repeat: when a peer is ill, repeating everything makes it worse. */
export class RetryBudget {
  readonly #tokensMax: number;
  readonly #tokensPerMs: number;
  readonly #now: () => number;
  #tokens: number;
  #filledMs: number;

  constructor({ tokensMax = 100, tokensPerSecond = 20, now = () => performance.now() }: RetryBudgetOptions = {}) {
    this.#tokensMax = tokensMax;
    this.#tokensPerMs = tokensPerSecond / 1000;
    this.#now = now;
    this.#tokens = tokensMax;
    this.#filledMs = now();
  }

  /** Takes one; false when none is left. */
  take(): boolean {
    const nowMs = this.#now();
    this.#tokens = Math.min(this.#tokensMax, this.#tokens + (nowMs - this.#filledMs) * this.#tokensPerMs);
    this.#filledMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

/**
 * How clients repeat idempotent calls that ended `unavailable`: up to four attempts over some 200 ms, within one budget for all clients
 * that share it. What takes longer to come back is an answer for the caller, not a reason to wait.
 */
export function createRetry(budget: RetryBudget = new RetryBudget()): RetryOptions {
  return {
    attemptsMax: 4,
    delayMs: 30,
    mayRetry: () => budget.take(),
    wait: async (ms, signal) => {
      try {
        await pause(ms, signal);
      } catch (error) {
        throw Fault.from(signal?.aborted ? signal.reason : error);
      }
    },
  };
}
