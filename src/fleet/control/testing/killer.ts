import type { Database } from '#kernel/database/database.ts';
import type { Simulation } from './simulation.ts';

/** Ends the platform at one of its steps: from then on nothing of it gets through to the database or to an engine. */
export class Killer {
  isDead = false;
  #left = Number.POSITIVE_INFINITY;

  killAt(step: number): void {
    this.#left = step;
  }

  /** The next platform has begun. */
  revive(): void {
    this.isDead = false;
    this.#left = Number.POSITIVE_INFINITY;
  }

  step(): boolean {
    if (!this.isDead && --this.#left <= 0) this.isDead = true;
    return this.isDead;
  }

  assertAlive(): void {
    if (this.isDead) throw new Error('The platform was killed');
  }

  database(real: Database): Database {
    return new Proxy(real, {
      get: (target, name) => {
        const found: unknown = Reflect.get(target, name);
        if (typeof found !== 'function') return found;
        const call = found.bind(target) as (...args: unknown[]) => unknown;
        if (name !== 'transaction') {
          return (...args: unknown[]) => {
            this.assertAlive();
            return call(...args);
          };
        }
        return async (...args: unknown[]) => {
          this.step();
          this.assertAlive();
          const result = await call(...args);
          this.step();
          this.assertAlive();
          return result;
        };
      },
    });
  }

  /** Calls of a host's engine do not arrive, or are done without anybody hearing of it. */
  watch({ world }: Simulation, host: string): void {
    const { troubles } = world.host(host);
    Object.defineProperty(troubles, 'isAway', { get: () => this.step() });
    Object.defineProperty(troubles, 'failsAfter', { get: () => (this.step() ? 1 : 0) });
  }
}
