import type { Contract } from './contract.ts';
import type { Bound, Dispatcher } from './dispatcher.ts';

/** All service instances of one process, as transports see them. */
export class Endpoint {
  readonly #services = new Map<string, Dispatcher>();

  add(dispatcher: Dispatcher): void {
    if (this.#services.has(dispatcher.service)) throw new Error(`Service ${dispatcher.service} is already in this process`);
    this.#services.set(dispatcher.service, dispatcher);
  }

  remove(service: string): void {
    this.#services.delete(service);
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
}
