import { Code, Fault, failedPrecondition, notFound } from '#kernel/fault.ts';
import type { Log } from '#kernel/log.ts';
import { needsOf, waitForNeeds } from '#kernel/process/instances.ts';
import type { Limits } from '#kernel/process/supervise.ts';
import type { Supervisor } from '#kernel/process/supervisor.ts';
import { untilRegistry } from '#kernel/process/until-registry.ts';
import { type Started, type Surroundings, startInstance } from '#kernel/services/launcher.ts';
import { type Registry, ServiceState } from '#kernel/services/registry.ts';
import { instanceName, type ServiceDefinition, type ServiceInstance } from '#kernel/services/service.ts';

export interface InstancesOptions {
  readonly definitions: readonly ServiceDefinition[];
  readonly surroundings: Surroundings;
  readonly registry: Registry;
  readonly machine: string;
  /** Runs those with a process of their own; undefined: all run in this process. */
  readonly supervisor: Supervisor | undefined;
  readonly limits: () => Limits;
  readonly log: Log;
}

/** What this machine runs: services of the main process, started here, and those with a process of their own, left to the supervisor. */
export class Instances {
  readonly #options: InstancesOptions;
  readonly #here = new Map<string, Started>();
  readonly #stopping = new AbortController();
  #wanted = new Map<string, ServiceInstance>();

  constructor(options: InstancesOptions) {
    this.#options = options;
  }

  /** Those that run in this process. */
  get started(): readonly Started[] {
    return [...this.#here.values()];
  }

  url(service: string): string {
    return this.#here.get(service)?.running.url ?? '';
  }

  definition(service: string): ServiceDefinition | undefined {
    return this.#options.definitions.find(
      ({ name, hasInstances }) => service === name || (hasInstances && service.startsWith(`${name}.`)),
    );
  }

  /**
   * Starts them, each when what it needs is ready; resolves when all are, or have failed once.
   * Errors: when a service without instances fails in this process; one of a datasource is tried again later.
   */
  async start(instances: readonly ServiceInstance[], signal: AbortSignal): Promise<void> {
    const { registry, machine } = this.#options;
    this.#wanted = new Map(instances.map((instance) => [instanceName(instance), instance]));
    const failure = new AbortController();
    const either = AbortSignal.any([signal, failure.signal, this.#stopping.signal]);
    // All are known from the start, so that each can wait for those it needs.
    for (const instance of instances) if (this.#isHere(instance)) this.#announce(instance, ServiceState.Starting, '');
    for (const instance of instances) if (!this.#isHere(instance)) this.#startFork(instance);
    await Promise.all(
      instances
        .filter((instance) => this.#isHere(instance))
        .map(async (instance) => {
          try {
            await this.#startHere(instance, either);
          } catch (error) {
            if (instance.definition.hasInstances) this.#failed(instance, error);
            else failure.abort(startFault(instance, error));
          }
        }),
    );
    signal.throwIfAborted();
    failure.signal.throwIfAborted();
    await untilRegistry(registry, either, () =>
      registry.all.every(
        ({ machine: where, state, reason }) => where !== machine || state !== ServiceState.Starting || reason !== '',
      ),
    );
  }

  /** Starts, stops and restarts what is new, gone or planned otherwise; everything else goes on. */
  async change(instances: readonly ServiceInstance[]): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    const before = this.#wanted;
    this.#wanted = new Map(instances.map((instance) => [instanceName(instance), instance]));
    const gone = [...before.keys()].filter((name) => !this.#wanted.has(name));
    await Promise.all(gone.map((name) => this.#stopOne(name)));
    for (const name of gone) this.#options.registry.remove(name);
    const changed = instances.filter((instance) => {
      const old = before.get(instanceName(instance));
      return (!old || JSON.stringify(old.plan) !== JSON.stringify(instance.plan)) && !this.#replan(old, instance);
    });
    for (const instance of changed) if (!this.#isHere(instance)) this.#startFork(instance);
    const here = changed.filter((instance) => this.#isHere(instance));
    await Promise.all(here.map((instance) => this.#stopOne(instanceName(instance))));
    for (const instance of here) this.#announce(instance, ServiceState.Starting, '');
    await Promise.all(here.map((instance) => this.#startOrRetry(instance)));
  }

  /** Restarts one in order; resolves when it is ready. Errors: `not_found`; `failed_precondition` when it does not start. */
  async restart(name: string, signal: AbortSignal): Promise<void> {
    const { registry, supervisor } = this.#options;
    const instance = this.#wanted.get(name);
    if (!instance) throw notFound(`Cannot restart "${name}": it does not run on this machine`);
    const before = registry.get(name)?.pid;
    if (this.#isHere(instance)) {
      await this.#stopOne(name);
      this.#announce(instance, ServiceState.Starting, '');
      await this.#startOrRetry(instance);
    } else supervisor?.restart(name, 'its restart was asked for');
    await untilRegistry(registry, signal, () => {
      const now = registry.get(name);
      if (now?.state === ServiceState.Backoff) throw failedPrecondition(`${name} does not start: ${now.reason}`);
      return now?.state === ServiceState.Ready && (this.#isHere(instance) || now.pid !== before);
    });
  }

  /** Stops in the reverse order of needs; what nobody needs any more stops together. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Fault(Code.Canceled, 'The platform is stopping'));
    const left = new Set([...this.#here.keys(), ...(this.#options.supervisor?.names ?? [])]);
    while (left.size > 0) {
      const needed = new Set([...left].flatMap((name) => this.definition(name)?.needs ?? []));
      const free = [...left].filter((name) => !needed.has(this.definition(name)?.name ?? name));
      // A circle cannot be: the start would have refused it.
      const wave = free.length > 0 ? free : [...left];
      await Promise.all(wave.map((name) => this.#stopOne(name)));
      for (const name of wave) left.delete(name);
    }
  }

  #isHere({ definition }: ServiceInstance): boolean {
    return !this.#options.supervisor || definition.placement === 'main';
  }

  async #startHere(instance: ServiceInstance, signal: AbortSignal): Promise<void> {
    const { definitions, registry, surroundings } = this.#options;
    await waitForNeeds(needsOf(instance.definition, definitions), instance.instance, registry, signal);
    const started = await startInstance(instance, surroundings);
    this.#here.set(started.name, started);
    // Asked to stop while it was starting: nobody else would.
    if (signal.aborted) await this.#stopOne(started.name);
  }

  #startFork(instance: ServiceInstance): void {
    const { definition, plan } = instance;
    this.#options.supervisor?.start({
      name: instanceName(instance),
      contracts: definition.contracts.map(({ typeName }) => typeName),
      hasHttp: definition.hasHttp ?? false,
      plan,
      needs: needsOf(definition, this.#options.definitions),
    });
  }

  /** Hands a running instance its new plan. Result: false when it has to start anew with it. */
  #replan(old: ServiceInstance | undefined, instance: ServiceInstance): boolean {
    if (!old || !instance.definition.takesPlan?.(old.plan, instance.plan)) return false;
    const name = instanceName(instance);
    if (!this.#isHere(instance)) this.#options.supervisor?.replan(name, instance.plan);
    else if (this.#here.has(name)) this.#here.get(name)?.replan(instance.plan);
    else return false;
    return true;
  }

  async #startOrRetry(instance: ServiceInstance): Promise<void> {
    const name = instanceName(instance);
    if (this.#stopping.signal.aborted || this.#wanted.get(name) !== instance || this.#here.has(name)) return;
    try {
      await this.#startHere(instance, this.#stopping.signal);
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#failed(instance, error);
    }
  }

  #failed(instance: ServiceInstance, error: unknown): void {
    const { log, limits } = this.#options;
    const { message, cause } = Fault.from(error);
    log.error('a service could not start', { service: instanceName(instance), error });
    this.#announce(instance, ServiceState.Backoff, message === 'Internal error' ? String(cause) : message);
    setTimeout(() => void this.#startOrRetry(instance), limits().backoffMaxMs).unref();
  }

  async #stopOne(name: string): Promise<void> {
    const { supervisor, log, limits } = this.#options;
    const started = this.#here.get(name);
    if (!started) {
      await supervisor?.stop(name);
      return;
    }
    this.#here.delete(name);
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, limits().stopMs + 500);
    try {
      // One that ignores its signal does not hold up the others.
      await Promise.race([started.stop(AbortSignal.timeout(limits().stopMs)), late.promise]);
    } catch (error) {
      log.error('a service did not stop as it should', { service: name, error });
    } finally {
      clearTimeout(timer);
    }
  }

  #announce(instance: ServiceInstance, state: ServiceState, reason: string): void {
    const { definition, plan } = instance;
    this.#options.registry.set({
      service: instanceName(instance),
      contracts: definition.contracts.map(({ typeName }) => typeName),
      plan,
      address: { kind: 'direct' },
      http: definition.hasHttp ? { kind: 'direct' } : undefined,
      state,
      reason,
      machine: this.#options.machine,
      pid: process.pid,
      restarts: 0,
      startTimeMs: Date.now(),
    });
  }
}

/** What went wrong in a service of the main process, with its name: the start ends with it. */
function startFault(instance: ServiceInstance, error: unknown): Fault {
  const { code, message, hint, reason, violations, cause } = Fault.from(error);
  const why = code === Code.Internal && cause instanceof Error ? cause.message : message;
  const text = why.startsWith('Cannot start') ? why : `Cannot start ${instanceName(instance)}: ${why}`;
  return new Fault(code, text, { reason, violations, cause: cause ?? error, ...(hint ? { hint } : {}) });
}
