/** A process of the platform, as the one who lets it run sees it. */
export interface Process {
  readonly name: string;
  /** Killed: nothing of it goes on, and nobody hears of what it was doing. */
  isDead: boolean;
  /** Halted, as by a debugger or a machine that sleeps: it goes on later, and does not know how long it was away. */
  isHalted: boolean;
}

interface Waiting {
  readonly process: Process;
  readonly isDue: () => boolean;
  readonly go: () => void;
}

const always = (): boolean => true;

/**
 * Lets everything that goes on at the same time go on one step at a time, in an order that a seed decides: whoever comes to a gate waits there
 * until it is let through. So runs with the same seed are the same, and each gate is a place to be overtaken or killed at.
 */
export class Turns {
  readonly #random: () => number;
  #waiting: Waiting[] = [];
  #underway = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Waits to be let through; not before `isDue`. */
  gate(process: Process, isDue = always): Promise<void> {
    if (process.isDead) return new Promise(() => undefined);
    return new Promise((go) => this.#waiting.push({ process, isDue, go }));
  }

  /** Work that takes time of its own, such as that of a database. */
  async real<T>(work: () => Promise<T>): Promise<T> {
    this.#underway += 1;
    try {
      return await work();
    } finally {
      this.#underway -= 1;
    }
  }

  /** Lets one through and sees it to its next gate. Result: false when nobody can go on. */
  async next(): Promise<boolean> {
    const able = this.#waiting.filter(({ process, isDue }) => !process.isHalted && isDue());
    const one = able[Math.floor(this.#random() * able.length)];
    if (!one) return false;
    this.#waiting.splice(this.#waiting.indexOf(one), 1);
    one.go();
    await this.settle();
    return true;
  }

  /** Until nothing moves by itself. */
  async settle(): Promise<void> {
    do await new Promise(setImmediate);
    while (this.#underway > 0);
  }

  kill(process: Process): void {
    process.isDead = true;
    this.#waiting = this.#waiting.filter((one) => one.process !== process);
  }
}
