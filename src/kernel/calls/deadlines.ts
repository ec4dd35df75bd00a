/** A longer timer would ring at once. Unit: milliseconds. */
const timerMsMax = 0x7fff_ffff;

export interface Deadline {
  /** On `performance.now()`'s clock. */
  readonly timeMs: number;
  readonly late: () => void;
}

/**
 * Deadlines of many short waits over one timer. Nearly all waits end long before, so setting a deadline and dropping it costs an
 * entry in a set instead of a timer of its own.
 */
export class Deadlines {
  readonly #waits = new Set<Deadline>();
  #timer: NodeJS.Timeout | undefined;
  #ringMs = Number.POSITIVE_INFINITY;

  /** Calls `late` once after `timeoutMs`, unless the deadline is deleted before. */
  add(timeoutMs: number, late: () => void): Deadline {
    const deadline = { timeMs: performance.now() + timeoutMs, late };
    this.#waits.add(deadline);
    if (deadline.timeMs < this.#ringMs) this.#arm(deadline.timeMs);
    else if (this.#waits.size === 1) this.#timer?.ref();
    return deadline;
  }

  delete(deadline: Deadline): void {
    // Left running: the next wait is likely to begin before it rings. The process may end meanwhile.
    if (this.#waits.delete(deadline) && this.#waits.size === 0) this.#timer?.unref();
  }

  #arm(timeMs: number): void {
    clearTimeout(this.#timer);
    this.#ringMs = timeMs;
    const waitMs = Math.min(timerMsMax, Math.max(1, Math.ceil(timeMs - performance.now())));
    this.#timer = setTimeout(() => this.#ring(), waitMs);
  }

  #ring(): void {
    this.#timer = undefined;
    this.#ringMs = Number.POSITIVE_INFINITY;
    const nowMs = performance.now();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const deadline of this.#waits) {
      if (deadline.timeMs > nowMs) nextMs = Math.min(nextMs, deadline.timeMs);
      else {
        this.#waits.delete(deadline);
        deadline.late();
      }
    }
    // What was late may have set a nearer one.
    if (this.#waits.size > 0 && nextMs < this.#ringMs) this.#arm(nextMs);
  }
}

/** Those of this process. */
export const deadlines: Deadlines = new Deadlines();
