import { Code, Fault, unavailable } from '../fault.ts';
import type { Contract } from './contract.ts';
import type { Bound, Dispatcher } from './dispatcher.ts';

/** All service instances of one process, as transports see them. */
export class Endpoint {
  readonly #services = new Map<string, Dispatcher>();

  readonly #watchers = new Set<() => void>();

  add(dispatcher: Dispatcher): void {
    if (this.#services.has(dispatcher.service)) throw new Error(`Service ${dispatcher.service} is already in this process`);
    this.#services.set(dispatcher.service, dispatcher);
    for (const watcher of this.#watchers) watcher();
  }

  remove(service: string): void {
    this.#services.delete(service);
    for (const watcher of this.#watchers) watcher();
  }

  /** Calls `watcher` after every service that comes or goes, until the returned function is called. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  get services(): readonly Dispatcher[] {
    return [...this.#services.values()];
  }

  /** All contracts served here, each once; for reflection. */
  get contracts(): readonly Contract[] {
    return [...new Set(this.services.flatMap((dispatcher) => dispatcher.contracts))];
  }

  /** The code for a method of an instance; without an instance (a client in another language), of the only one that has it. */
  find(service: string, methodName: string): Bound | undefined {
    if (service) return this.#services.get(service)?.find(methodName);
    for (const dispatcher of this.#services.values()) {
      const bound = dispatcher.find(methodName);
      if (bound) return bound;
    }
    return undefined;
  }

  /**
   * As `find`, for transports.
   * Errors: `unavailable` when the instance does not run here (it may run elsewhere soon), `unimplemented` when it lacks the method.
   */
  require(service: string, methodName: string): Bound {
    const bound = this.find(service, methodName);
    if (bound) return bound;
    if (service && !this.#services.has(service)) {
      throw unavailable(`Cannot call ${methodName}: ${service} does not run in this process`, { reason: 'not_running' });
    }
    throw new Fault(
      Code.Unimplemented,
      `Cannot call ${methodName}: ${service || 'no service of this process'} ${service ? 'does not have' : 'has'} it`,
    );
  }
}
