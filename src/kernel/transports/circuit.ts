import { Fault, unavailable } from '../fault.ts';

export interface CircuitOptions {
  /** First pause after a failure; doubles up to the largest. Unit: milliseconds. */
  readonly pauseMs?: number;
  readonly pauseMsMax?: number;
  /** Unit: milliseconds. */
  readonly now?: () => number;
}

/**
 * Remembers that a peer could not be reached, so that calls fail at once instead of queueing behind attempts to reach it.
 * After the pause one attempt is let through: it closes the circuit, or opens it for twice as long.
 */
export class Circuit {
  readonly #pauseMsMin: number;
  readonly #pauseMsMax: number;
  readonly #now: () => number;
  #failures = 0;
  #opensAgainMs = 0;
  #fault: Fault | undefined;

  constructor({ pauseMs = 20, pauseMsMax = 1000, now = () => performance.now() }: CircuitOptions = {}) {
    this.#pauseMsMin = pauseMs;
    this.#pauseMsMax = pauseMsMax;
    this.#now = now;
  }

  /** Why no attempt is made now; undefined when one may be. */
  fault(): Fault | undefined {
    const waitMs = this.#opensAgainMs - this.#now();
    if (waitMs <= 0 || !this.#fault) return undefined;
    const { code, message, reason, hint } = this.#fault;
    return new Fault(code, message, { reason, retryAfterMs: Math.ceil(waitMs), ...(hint ? { hint } : {}) });
  }

  failed(fault: Fault): void {
    const pauseMs = Math.min(this.#pauseMsMax, this.#pauseMsMin * 2 ** Math.min(this.#failures, 16));
    this.#failures++;
    this.#fault = fault;
    this.#opensAgainMs = this.#now() + pauseMs;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#opensAgainMs = 0;
    this.#fault = undefined;
  }
}

export function unreachable(address: string, why: string, retryAfterMs = 50): Fault {
  return unavailable(`Cannot reach ${address}: ${why}`, {
    reason: 'unreachable',
    retryAfterMs,
    hint: 'It may be restarting; `cellar ps` shows its state.',
  });
}
