import { hostname } from 'node:os';
import { openDatabase } from '#kernel/database/open.ts';
import type { Log } from '#kernel/log.ts';
import { addProcessMetrics, ProcessMetrics } from '#kernel/metrics.ts';
import { sampleCpu } from '#kernel/process/cpu.ts';
import { createFolderClaims } from '#kernel/process/folder-claims.ts';
import { watchHealth } from '#kernel/process/health.ts';
import { killLeftovers, rememberProcesses } from '#kernel/process/leftovers.ts';
import { type HomeLock, lockHome } from '#kernel/process/lock.ts';
import { homePaths } from '#kernel/process/paths.ts';
import { shareRegistry } from '#kernel/process/shared-registry.ts';
import { spawnFork } from '#kernel/process/spawn-fork.ts';
import { Supervisor } from '#kernel/process/supervisor.ts';
import { createSurroundings, databaseUrl, type ProcessSurroundings } from '#kernel/process/surroundings.ts';
import { type Registration, Registry, ServiceState } from '#kernel/services/registry.ts';
import { instanceName, type ServiceDefinition, type ServiceInstance } from '#kernel/services/service.ts';
import type { LiveSettings } from '#kernel/settings/live-settings.ts';
import { type Given, settingValue } from '#kernel/settings/resolve.ts';
import manifest from '../../package.json' with { type: 'json' };
import { type Catalogue, loadDefinitions } from './catalogue.ts';
import { type DataInstances, planInstances, writtenFolders } from './data-instances.ts';
import { followStored } from './follow-stored.ts';
import { sectionsFor } from './fork-settings.ts';
import { Instances } from './instances.ts';
import { limitsOf } from './limits.ts';
import { loadSettings } from './load-settings.ts';
import { machineEdgeOf } from './machine-edge.ts';
import { matchesAny } from './matches-any.ts';
import { openMainLog } from './open-main-log.ts';
import type { Platform } from './platform.ts';
import { servicesService } from './services-service/main.ts';
import { settingsService } from './settings-service/main.ts';
import type { Undo } from './undo.ts';

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
  /** Stops everything in order; a second call while it runs kills what is left. */
  stop(): Promise<void>;
}

/**
 * Starts the platform and resolves when every service is ready or known not to be: a datasource that fails does not hold the others up.
 *
 * Errors: `failed_precondition` when the home cannot be used or is in use, `invalid_argument` with all wrong settings, and whatever a
 * service of the main process fails with; nothing is left running then.
 */
export async function runMain(options: MainOptions): Promise<MainProcess> {
  const lock = await lockHome(options.home);
  const undo: Undo = [() => lock.release()];
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

async function start(options: MainOptions, lock: HomeLock, undo: Undo, cleanUp: () => Promise<void>): Promise<MainProcess> {
  const { home, catalogue, signal, isForked } = options;
  const startTimeMs = Date.now();
  const paths = homePaths(home);
  const services = await loadDefinitions(catalogue);
  const { live, unknownVariables } = await loadSettings({ ...options, definitions: services });
  const setting = (key: string): unknown => settingValue(live.settings, key);
  const limits = () => limitsOf(live.settings);
  const { log, writeLine } = openMainLog({ home, settings: live, onLine: options.onLine, undo });
  if (unknownVariables.length > 0) log.warn('environment variables name no setting', { names: unknownVariables });
  await killLeftovers(paths.forks, log);
  await followStored(home, live, { signal, patienceMs: limits().startMs, log, undo });

  const machine = String(setting('machine.name')) || hostname();
  const registry = new Registry();
  const metrics = new ProcessMetrics(async () => (await supervisor?.families()) ?? []);
  addProcessMetrics(metrics, 'main');
  const cpu = sampleCpu();
  const machineEdge = await machineEdgeOf({ home, name: machine, settings: live.settings });
  const process_ = { home, machine, log, metrics, registry, settings: () => live.settings, restarts: 0, machineEdge };
  const parts = await createSurroundings({ ...process_, socket: 'main' });
  undo.push(() => parts.close());
  const supervisor = isForked
    ? new Supervisor({
        home,
        machine,
        registry,
        log,
        limits,
        spawn: (name) => spawnFork(options.forkScript, name),
        settingsFor: (name) => live.given(sectionsFor(name, services)),
        writeLine,
        onProcesses: (pids) => rememberProcesses(paths.forks, pids),
      })
    : undefined;
  undo.push(() => supervisor?.close());

  const platform: Platform = {
    home,
    log,
    settings: live,
    stats: (service) => {
      if (registry.get(service)?.machine !== machine) return { memoryBytes: 0, cpuPercent: 0 };
      return supervisor?.stats(service) ?? { memoryBytes: process.memoryUsage.rss(), cpuPercent: cpu.percent() };
    },
    url: (service) => instances.url(service),
    instance: (service) => service.slice((instances.definition(service)?.name ?? service).length + 1),
    description: (service) => instances.definition(service)?.description ?? '',
    restart: (service, callSignal) => instances.restart(service, callSignal),
  };
  /** They look after the processes of this machine, so each machine has its own. */
  const own = [settingsService(platform), servicesService(platform)];
  const definitions = [...own, ...services];
  const instances: Instances = new Instances({
    definitions,
    surroundings: parts.surroundings,
    registry,
    machine,
    supervisor,
    limits,
    log,
  });
  // In one process nobody asks by socket.
  if (supervisor && services.some(({ placement, hasHttp }) => placement === 'main' && hasHttp)) await parts.listenHttp();
  if (machineEdge) {
    const isOwn = new Set(own.map(({ name }) => name));
    const local = (): Registration[] =>
      registry.all
        .filter((registration) => registration.machine === machine && !isOwn.has(registration.service))
        .map((registration) => asSeenByMachines(registration, supervisor?.remote(registration.service) ?? parts.remote));
    await joinMachines(home, live, { machine, registry, local, log, undo });
  }

  const patterns = setting('machine.services') as readonly string[];
  const isMeant = (instance: ServiceInstance): boolean =>
    own.includes(instance.definition) || matchesAny(patterns, instanceName(instance));
  const single = definitions.filter(({ hasInstances }) => !hasInstances).map(withoutInstance);
  let problems: DataInstances['problems'] = {};
  const claims = createFolderClaims(home);
  undo.push(() => claims.release());
  const plan = async (): Promise<ServiceInstance[]> => {
    let planned = await planInstances(home, live.settings, services, catalogue.plan);
    const held = await claims.take(writtenFolders(planned.instances.filter(isMeant)));
    if (Object.keys(held).length > 0) planned = await planInstances(home, live.settings, services, catalogue.plan, held);
    for (const [datasource, reason] of Object.entries(planned.problems)) {
      if (problems[datasource] !== reason) log.error('a datasource cannot be served', { datasource, reason });
    }
    problems = planned.problems;
    return [...single, ...planned.instances].filter(isMeant);
  };
  undo.push(() => instances.stop());
  await instances.start(await plan(), signal);

  undo.push(watchHealth({ started: () => instances.started, registry, everyMs: Number(setting('process.checkMs')), log }));
  let changing: Promise<void> = Promise.resolve();
  const unwatch = live.watch(() => {
    supervisor?.tellSettings();
    changing = changing
      .then(async () => instances.change(await plan()))
      .catch((error: unknown) => log.error('the datasources could not be planned anew', { error }));
  });
  undo.push(async () => {
    unwatch();
    await changing;
  });

  const notReady = (): { service: string; reason: string }[] => [
    ...registry.all
      .filter(({ state }) => state !== ServiceState.Ready)
      .map(({ service, state, reason }) => ({ service, reason: reason || state })),
    ...Object.entries(problems).map(([datasource, reason]) => ({ service: `datasource ${datasource}`, reason })),
  ];
  const url = instances.started.map(({ running }) => running.url ?? '').find(Boolean) ?? '';
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
      await cleanUp();
    },
  };
}

interface JoinOptions {
  readonly machine: string;
  readonly registry: Registry;
  readonly local: () => readonly Registration[];
  readonly log: Log;
  readonly undo: Undo;
}

/** Shares the registry with the other machines. */
async function joinMachines(home: string, live: LiveSettings, { undo, ...options }: JoinOptions): Promise<void> {
  const name = 'cellar.registry';
  const database = openDatabase({ url: databaseUrl(home, live.settings, name), name, log: options.log });
  undo.push(() => database.close());
  const shared = await shareRegistry({ database, ...options });
  undo.push(() => shared.close());
}

/** A registration with the address other machines use; without one it cannot be reached from there. */
function asSeenByMachines(registration: Registration, remote: ProcessSurroundings['remote']): Registration {
  return { ...registration, address: remote?.rpc ?? registration.address, http: registration.http && remote?.http };
}

function withoutInstance(definition: ServiceDefinition): ServiceInstance {
  return { definition, instance: '', plan: undefined };
}
