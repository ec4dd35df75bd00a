import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { openDatabase } from '#kernel/database/open.ts';
import { Code, Fault, failedPrecondition, notFound } from '#kernel/fault.ts';
import { openLiveConfig } from '#kernel/live-config/live-config.ts';
import { createLog, type Log, type LogLevel } from '#kernel/log.ts';
import { addProcessMetrics, ProcessMetrics } from '#kernel/metrics.ts';
import { sampleCpu } from '#kernel/process/cpu.ts';
import { watchHealth } from '#kernel/process/health.ts';
import { needsOf, waitForNeeds } from '#kernel/process/instances.ts';
import { killLeftovers, rememberProcesses } from '#kernel/process/leftovers.ts';
import { lockHome } from '#kernel/process/lock.ts';
import { LogFile } from '#kernel/process/log-file.ts';
import { homePaths } from '#kernel/process/paths.ts';
import { shareRegistry } from '#kernel/process/shared-registry.ts';
import { spawnFork } from '#kernel/process/spawn-fork.ts';
import { type ForkStats, Supervisor } from '#kernel/process/supervisor.ts';
import { createSurroundings, databaseUrl, type RemoteAddresses } from '#kernel/process/surroundings.ts';
import { type Started, startInstance } from '#kernel/services/launcher.ts';
import { type Registration, Registry, ServiceState } from '#kernel/services/registry.ts';
import { instanceName, type ServiceDefinition, type ServiceInstance } from '#kernel/services/service.ts';
import { type Given, settingValue } from '#kernel/settings/resolve.ts';
import manifest from '../../package.json' with { type: 'json' };
import { type Catalogue, loadDefinitions } from './catalogue.ts';
import { type DataInstances, planInstances } from './data-instances.ts';
import { sectionsFor } from './fork-settings.ts';
import { limitsOf } from './limits.ts';
import { loadSettings } from './load-settings.ts';
import { machineEdgeOf } from './machine-edge.ts';
import type { Platform } from './platform.ts';
import { servicesService } from './services-service/main.ts';
import { settingsService } from './settings-service/main.ts';

export interface MainOptions {
  readonly home: string;
  readonly catalogue: Catalogue;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly flags: readonly Given[];
  /** False: all services run in this process. */
  readonly isForked: boolean;
  /** Script that runs one service, called with `start --fork NAME`; of a forked platform. */
  readonly forkScript: string;
  /** Takes every log line too, newline included; for the terminal. */
  readonly onLine?: (line: string) => void;
  /** Aborts the start; what was started is stopped again. */
  readonly signal: AbortSignal;
}

/** A running platform. */
export interface MainProcess {
  /** Where people reach it; empty without a gateway. */
  readonly url: string;
  readonly home: string;
  /** Services that are not ready, and why. */
  readonly notReady: () => readonly { readonly service: string; readonly reason: string }[];
  /** Stops everything in order; a second call while it runs ends it at once. */
  stop(): Promise<void>;
}

/**
 * Starts the platform and resolves when every service is ready or known not to be: one that fails does not hold the others up.
 *
 * Errors: `failed_precondition` when the home cannot be used or is in use, `invalid_argument` with all wrong settings, and whatever a service of
 * the main process fails with; nothing is left running then.
 */
export async function runMain(options: MainOptions): Promise<MainProcess> {
  const { home } = options;
  const lock = await lockHome(home);
  const undo: (() => unknown)[] = [() => lock.release()];
  const cleanUp = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) await step();
  };
  try {
    return await start(options, lock, undo, cleanUp);
  } catch (error) {
    await cleanUp();
    throw error;
  }
}

async function start(
  options: MainOptions,
  lock: Awaited<ReturnType<typeof lockHome>>,
  undo: (() => unknown)[],
  cleanUp: () => Promise<void>,
): Promise<MainProcess> {
  const { home, catalogue, signal } = options;
  const paths = homePaths(home);
  const startTimeMs = Date.now();
  const known = await loadDefinitions(catalogue);
  const { live, unknownVariables } = await loadSettings({ ...options, definitions: known });
  const setting = (key: string): unknown => settingValue(live.settings, key);

  const file = new LogFile({
    path: paths.log,
    sizeMaxBytes: Number(setting('log.fileSizeMaxMib')) * 1_048_576,
    filesMax: Number(setting('log.filesMax')),
    onProblem: (error) => process.stderr.write(`Cannot write the log ${paths.log}: ${String(error)}\n`),
  });
  undo.push(() => file.close());
  const writeLine = (line: string): void => {
    file.write(line);
    options.onLine?.(line);
  };
  const log = createLog({ level: () => setting('log.level') as LogLevel, write: writeLine }).with({ service: 'main' });
  if (unknownVariables.length > 0) log.warn('environment variables name no setting', { names: unknownVariables });
  const onCrash = (error: unknown): void => {
    log.error('the main process failed unexpectedly', { error });
    process.stderr.write(`Cellar failed unexpectedly: ${String(error)}\n`);
    process.exit(1);
  };
  process.on('uncaughtException', onCrash);
  undo.push(() => process.off('uncaughtException', onCrash));
  await killLeftovers(paths.forks, log);

  const stopping = new AbortController();
  const settingsDatabase = openDatabase({
    url: databaseUrl(home, live.settings, 'cellar.grpc.settings'),
    name: 'cellar.grpc.settings',
    log,
  });
  undo.push(() => settingsDatabase.close());
  const config = await patiently(
    () => openLiveConfig({ database: settingsDatabase }),
    limitsOf(live.settings).startMs,
    signal,
    log,
  );
  await live.follow(config, stopping.signal, log);
  undo.push(() => stopping.abort());

  const machine = String(setting('machine.name')) || hostname();
  const registry = new Registry();
  const metrics: ProcessMetrics = new ProcessMetrics(async () => (await supervisor?.families()) ?? []);
  addProcessMetrics(metrics, 'main');
  const edge = await machineEdgeOf({ home, name: machine, settings: live.settings });
  const parts = await createSurroundings({
    home,
    machine,
    socket: 'main',
    log,
    metrics,
    registry,
    settings: () => live.settings,
    restarts: 0,
    machineEdge: edge,
  });
  undo.push(() => parts.close());
  const cpu = sampleCpu();

  const running = new Map<string, { readonly instance: ServiceInstance; started: Started }>();
  const supervisor = options.isForked
    ? new Supervisor({
        home,
        machine,
        registry,
        log,
        limits: () => limitsOf(live.settings),
        spawn: (name) => spawnFork(options.forkScript, name),
        settingsFor: (name) => live.given(sectionsFor(name, definitions)),
        writeLine,
        onProcesses: (pids) => rememberProcesses(paths.forks, pids),
      })
    : undefined;
  undo.push(() => supervisor?.close());

  const patterns = setting('machine.services') as readonly string[];
  /** The platform's own two look after this machine's processes and run on each. */
  const runsOnThisMachine = (instance: ServiceInstance): boolean =>
    !known.includes(instance.definition) || isMeant(patterns, instanceName(instance));
  const planHere = async (): Promise<DataInstances> => {
    const { instances, problems } = await planInstances(home, live.settings, known, catalogue.plan);
    return { instances: instances.filter(runsOnThisMachine), problems };
  };
  let plan = await planHere();
  const platform: Platform = {
    home,
    log,
    settings: live,
    stats: (service): ForkStats =>
      registry.get(service)?.machine !== machine
        ? { memoryBytes: 0, cpuPercent: 0 }
        : (supervisor?.stats(service) ?? { memoryBytes: process.memoryUsage.rss(), cpuPercent: cpu.percent() }),
    url: (service) => running.get(service)?.started.running.url ?? '',
    instance: (service) => {
      const definition = definitionOf(service);
      return definition ? service.slice(definition.name.length + 1) : '';
    },
    description: (service) => definitionOf(service)?.description ?? '',
    restart: (service, callSignal) => restart(service, callSignal),
    problems: () => plan.problems,
  };
  const definitions = [settingsService(platform), servicesService(platform), ...known];
  const definitionOf = (service: string): ServiceDefinition | undefined =>
    definitions.find(({ name, hasInstances }) => service === name || (hasInstances && service.startsWith(`${name}.`)));

  const startHere = async (instance: ServiceInstance): Promise<void> => {
    await waitForNeeds(needsOf(instance.definition, definitions), instance.instance, registry, startSignal);
    startSignal.throwIfAborted();
    running.set(instanceName(instance), { instance, started: await startInstance(instance, parts.surroundings) });
  };
  const startFork = (instance: ServiceInstance): void => {
    const { definition, plan: own } = instance;
    supervisor?.start({
      name: instanceName(instance),
      contracts: definition.contracts.map(({ typeName }) => typeName),
      hasHttp: definition.hasHttp ?? false,
      plan: own,
      needs: needsOf(definition, definitions),
    });
  };
  const isHere = ({ definition }: ServiceInstance): boolean => !supervisor || definition.placement === 'main';
  const announce = (instance: ServiceInstance, state: ServiceState, reason: string): void => {
    registry.set({
      service: instanceName(instance),
      contracts: instance.definition.contracts.map(({ typeName }) => typeName),
      plan: instance.plan,
      address: { kind: 'direct' },
      http: instance.definition.hasHttp ? { kind: 'direct' } : undefined,
      state,
      reason,
      machine,
      pid: process.pid,
      restarts: 0,
      startTimeMs: Date.now(),
    });
  };

  // In one process nobody asks by socket.
  if (supervisor && definitions.some(({ placement, hasHttp }) => placement === 'main' && hasHttp)) await parts.listenHttp();
  // Each machine has its own of these two, so others need not know of them.
  const own = new Set(definitions.filter((definition) => !known.includes(definition)).map(({ name }) => name));
  if (edge) {
    const database = openDatabase({ url: databaseUrl(home, live.settings, 'cellar.registry'), name: 'cellar.registry', log });
    undo.push(() => database.close());
    const shared = await shareRegistry({
      database,
      machine,
      registry,
      local: () =>
        registry.all
          .filter((registration) => registration.machine === machine && !own.has(registration.service))
          .map((registration) => asSeenByMachines(registration, supervisor?.remote(registration.service) ?? parts.remote)),
      log,
    });
    undo.push(() => shared.close());
  }
  const single = definitions
    .filter(({ hasInstances }) => !hasInstances)
    .map((definition): ServiceInstance => ({ definition, instance: '', plan: undefined }))
    .filter(runsOnThisMachine);
  const failure = new AbortController();
  const startSignal = AbortSignal.any([signal, failure.signal]);
  undo.push(() => stopAll());
  // All are known from the start, so that each can wait for those it needs.
  for (const instance of [...single, ...plan.instances].filter(isHere)) announce(instance, ServiceState.Starting, '');
  for (const instance of [...single, ...plan.instances]) if (!isHere(instance)) startFork(instance);
  for (const [datasource, reason] of Object.entries(plan.problems))
    log.error('a datasource cannot be served', { datasource, reason });
  const results = await Promise.allSettled([
    ...[...single, ...plan.instances].filter(isHere).map(async (instance) => {
      try {
        await startHere(instance);
      } catch (error) {
        // A datasource's own trouble is its own; anything else stops the start.
        if (!instance.definition.hasInstances) {
          failure.abort(startFault(instance, error));
          throw error;
        }
        failed(instance, error);
      }
    }),
  ]);
  const broken = results.find((result) => result.status === 'rejected');
  if (failure.signal.aborted) throw failure.signal.reason;
  if (broken) throw broken.reason;
  await allSettled(registry, startSignal);

  const stopHealth = watchHealth({
    started: () => [...running.values()].map(({ started }) => started),
    registry,
    everyMs: Number(setting('process.checkMs')),
    log,
  });
  undo.push(stopHealth);
  let replanning: Promise<void> = Promise.resolve();
  undo.push(
    live.watch(() => {
      supervisor?.tellSettings();
      replanning = replanning
        .then(replan)
        .catch((error: unknown) => log.error('the datasources could not be planned anew', { error }));
    }),
  );

  const url = [...running.values()].map(({ started }) => started.running.url ?? '').find(Boolean) ?? '';
  await lock.publish({ pid: process.pid, startTimeMs, url, isReady: true, version: manifest.version, notReady: notReady() });
  log.info('Cellar is ready', { url, startMs: Date.now() - startTimeMs, pid: process.pid });

  let isStopping = false;
  return {
    url,
    home,
    notReady,
    stop: async () => {
      if (isStopping) {
        supervisor?.killAll();
        return;
      }
      isStopping = true;
      log.info('Cellar is stopping');
      await replanning;
      await cleanUp();
    },
  };

  function notReady(): { service: string; reason: string }[] {
    return [
      ...registry.all
        .filter(({ state }) => state !== ServiceState.Ready)
        .map(({ service, state, reason }) => ({ service, reason: reason || state })),
      ...Object.entries(plan.problems).map(([datasource, reason]) => ({ service: `datasource ${datasource}`, reason })),
    ];
  }

  /** Stops in the reverse order of needs; what nobody needs any more stops together. */
  async function stopAll(): Promise<void> {
    const patience = AbortSignal.timeout(limitsOf(live.settings).stopMs);
    const left = new Map<string, readonly string[]>(
      [...running.values()].map(({ instance }) => [instanceName(instance), instance.definition.needs]),
    );
    for (const name of supervisor?.names ?? []) left.set(name, definitionOf(name)?.needs ?? []);
    while (left.size > 0) {
      const needed = new Set([...left.values()].flat());
      const free = [...left.keys()].filter((name) => !needed.has(definitionOf(name)?.name ?? name));
      // A circle cannot be: the start would have refused it.
      const wave = free.length > 0 ? free : [...left.keys()];
      await Promise.all(wave.map((name) => stopOne(name, patience)));
      for (const name of wave) left.delete(name);
    }
  }

  async function stopOne(name: string, patience: AbortSignal): Promise<void> {
    const here = running.get(name);
    if (!here) {
      await supervisor?.stop(name);
      return;
    }
    running.delete(name);
    try {
      await here.started.stop(patience);
    } catch (error) {
      log.error('a service did not stop as it should', { service: name, error });
    }
  }

  function failed(instance: ServiceInstance, error: unknown): void {
    const fault = Fault.from(error);
    log.error('a service could not start', { service: instanceName(instance), error });
    announce(instance, ServiceState.Backoff, fault.message === 'Internal error' ? String(fault.cause) : fault.message);
    setTimeout(() => void retry(instance), Number(setting('process.backoffMaxMs'))).unref();
  }

  async function retry(instance: ServiceInstance): Promise<void> {
    const isWanted = plan.instances.some((planned) => instanceName(planned) === instanceName(instance));
    if (stopping.signal.aborted || !isWanted || running.has(instanceName(instance))) return;
    try {
      await startHere(instance);
    } catch (error) {
      failed(instance, error);
    }
  }

  async function restart(name: string, callSignal: AbortSignal): Promise<void> {
    const here = running.get(name);
    if (here) {
      await stopOne(name, AbortSignal.timeout(limitsOf(live.settings).stopMs));
      announce(here.instance, ServiceState.Starting, '');
      await startHere(here.instance);
      return;
    }
    const before = registry.get(name)?.pid;
    if (!supervisor?.restart(name, 'its restart was asked for'))
      throw notFound(`Cannot restart "${name}": it has no process of its own`);
    await until(registry, callSignal, () => {
      const now = registry.get(name);
      if (now?.state === ServiceState.Backoff) throw failedPrecondition(`${name} does not start: ${now.reason}`);
      return now?.state === ServiceState.Ready && now.pid !== before;
    });
  }

  /** Starts, stops and restarts what the datasources now ask for; everything else goes on. */
  async function replan(): Promise<void> {
    if (stopping.signal.aborted) return;
    const before = plan;
    plan = await planHere();
    const wanted = new Map(plan.instances.map((instance) => [instanceName(instance), instance]));
    const had = new Map(before.instances.map((instance) => [instanceName(instance), instance]));
    for (const [datasource, reason] of Object.entries(plan.problems)) {
      if (before.problems[datasource] !== reason) log.error('a datasource cannot be served', { datasource, reason });
    }
    const gone = [...had.keys()].filter((name) => !wanted.has(name));
    await Promise.all(gone.map((name) => stopOne(name, AbortSignal.timeout(limitsOf(live.settings).stopMs))));
    for (const name of gone) registry.remove(name);
    const changed = [...wanted.values()].filter((instance) => {
      const old = had.get(instanceName(instance));
      return !old || JSON.stringify(old.plan) !== JSON.stringify(instance.plan);
    });
    for (const instance of changed.filter((one) => !isHere(one))) startFork(instance);
    const here = changed.filter(isHere);
    await Promise.all(
      here.map((instance) => stopOne(instanceName(instance), AbortSignal.timeout(limitsOf(live.settings).stopMs))),
    );
    for (const instance of here) announce(instance, ServiceState.Starting, '');
    await Promise.all(here.map((instance) => startHere(instance).catch((error: unknown) => failed(instance, error))));
  }
}

/** A registration with the address other machines use; without one it cannot be reached from there. */
function asSeenByMachines(registration: Registration, remote: RemoteAddresses | undefined): Registration {
  return { ...registration, address: remote?.rpc ?? registration.address, http: registration.http && remote?.http };
}

/** True when the list names the service: as it is, by its beginning (`cellar.grpc.data.*`), without its instance, or by being empty. */
export function isMeant(patterns: readonly string[], service: string): boolean {
  if (patterns.length === 0) return true;
  return patterns.some((pattern) =>
    pattern.endsWith('*') ? service.startsWith(pattern.slice(0, -1)) : service === pattern || service.startsWith(`${pattern}.`),
  );
}

/** What went wrong in a service of the main process, with its name: the start ends with it. */
function startFault(instance: ServiceInstance, error: unknown): Fault {
  const { code, message, hint, reason, violations, cause } = Fault.from(error);
  const why = code === Code.Internal && cause instanceof Error ? cause.message : message;
  const text = why.startsWith('Cannot start') ? why : `Cannot start ${instanceName(instance)}: ${why}`;
  return new Fault(code, text, { reason, violations, cause: cause ?? error, ...(hint ? { hint } : {}) });
}

/** Tries again while a database is away: after a power cut machines come up in any order. */
async function patiently<T>(open: () => Promise<T>, patienceMs: number, signal: AbortSignal, log: Log): Promise<T> {
  const endMs = Date.now() + patienceMs;
  while (true) {
    try {
      return await open();
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== Code.Unavailable || Date.now() > endMs) throw error;
      log.warn('waiting for the database of the settings', { reason: error.message });
      await sleep(1000, undefined, { signal });
    }
  }
}

/** Resolves when nothing is starting any more that has not failed yet. */
async function allSettled(registry: Registry, signal: AbortSignal): Promise<void> {
  await until(registry, signal, () =>
    registry.all.every(({ state, reason }) => state !== ServiceState.Starting || reason !== ''),
  );
}

async function until(registry: Registry, signal: AbortSignal, isMet: () => boolean): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const check = (): void => {
    try {
      if (isMet()) resolve();
    } catch (error) {
      reject(error);
    }
  };
  const unwatch = registry.watch(check);
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  check();
  try {
    await promise;
  } finally {
    unwatch();
    signal.removeEventListener('abort', onAbort);
  }
}
