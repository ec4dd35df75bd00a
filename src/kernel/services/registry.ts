import type { Channel } from '../calls/channel.ts';
import type { Route } from '../calls/client.ts';
import { unavailable } from '../fault.ts';

/** Where a service instance can be reached. */
export type Address =
  | { readonly kind: 'direct' }
  | { readonly kind: 'local' /** Path of a Unix socket. */; readonly path: string }
  | { readonly kind: 'grpc'; readonly host: string; readonly port: number };

export const ServiceState = {
  Starting: 'starting',
  Ready: 'ready',
  Unhealthy: 'unhealthy',
  Backoff: 'backoff',
  Stopping: 'stopping',
  Stopped: 'stopped',
} as const;
export type ServiceState = (typeof ServiceState)[keyof typeof ServiceState];

/** One service instance as the registry knows it. */
export interface Registration {
  /** Such as `cellar.grpc.data.index.docs`. */
  readonly service: string;
  readonly contracts: readonly string[];
  /** What the platform's plan says of it, such as an index's folder and bucket; JSON. Each service parses its own. */
  readonly plan: unknown;
  readonly address: Address;
  /** Where it answers plain HTTP (S3, uploads), when it does: `direct`, or a Unix socket, or a host. */
  readonly http: Address | undefined;
  readonly state: ServiceState;
  /** Why it is not ready, in words. */
  readonly reason: string;
  readonly machine: string;
  readonly pid: number;
  readonly restarts: number;
  /** Unit: milliseconds since 1970. */
  readonly startTimeMs: number;
}

/** Who serves what, where, how healthy. Every process holds a copy; the supervisor, or the shared engine, keeps copies the same. */
export class Registry {
  readonly #byService = new Map<string, Registration>();
  readonly #watchers = new Set<(registration: Registration) => void>();

  get all(): readonly Registration[] {
    return [...this.#byService.values()];
  }

  get(service: string): Registration | undefined {
    return this.#byService.get(service);
  }

  /** An instance that serves the contract; a ready one when there is one. */
  find(contract: string): Registration | undefined {
    let found: Registration | undefined;
    for (const registration of this.#byService.values()) {
      if (!registration.contracts.includes(contract)) continue;
      if (registration.state === ServiceState.Ready) return registration;
      found ??= registration;
    }
    return found;
  }

  set(registration: Registration): void {
    this.#byService.set(registration.service, registration);
    for (const watcher of this.#watchers) watcher(registration);
  }

  remove(service: string): void {
    const registration = this.#byService.get(service);
    if (!registration) return;
    this.#byService.delete(service);
    for (const watcher of this.#watchers) watcher({ ...registration, state: ServiceState.Stopped });
  }

  /** Calls `watcher` at every change until the returned function is called. */
  watch(watcher: (registration: Registration) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}

/** Opens channels to addresses, one each, kept until closed. */
export interface Channels {
  to(address: Address): Channel;
  close(): Promise<void>;
}

/**
 * The way to whoever serves a contract, asked anew at every attempt.
 * Errors: `unavailable` at once when nobody does, or while the instance is starting anew.
 */
export function routeTo(registry: Registry, channels: Channels, contract: string, service: string | undefined): () => Route {
  return () => {
    const registration = service ? registry.get(service) : registry.find(contract);
    const name = service ?? contract;
    if (!registration) throw unavailable(`Cannot reach ${name}: no such service is running`, { reason: 'not_running' });
    if (registration.state === ServiceState.Backoff || registration.state === ServiceState.Stopped) {
      throw unavailable(
        `Cannot reach ${registration.service}: it is ${registration.state === ServiceState.Backoff ? 'restarting' : 'stopped'}`,
        {
          reason: 'restarting',
          retryAfterMs: 250,
        },
      );
    }
    return { channel: channels.to(registration.address), service: registration.service };
  };
}
