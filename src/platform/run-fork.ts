import { Code, Fault, failedPrecondition } from '#kernel/fault.ts';
import { createLog, type LogLevel } from '#kernel/log.ts';
import { addProcessMetrics, ProcessMetrics } from '#kernel/metrics.ts';
import { sampleCpu } from '#kernel/process/cpu.ts';
import { watchHealth } from '#kernel/process/health.ts';
import { waitForNeeds } from '#kernel/process/instances.ts';
import type { FromFork, ToFork } from '#kernel/process/messages.ts';
import { createSurroundings } from '#kernel/process/surroundings.ts';
import { type Started, type Surroundings, startInstance } from '#kernel/services/launcher.ts';
import { Registry } from '#kernel/services/registry.ts';
import type { ServiceInstance } from '#kernel/services/service.ts';
import { resolveSettings, type Settings, settingValue } from '#kernel/settings/resolve.ts';
import { backoffMs } from '#lib/backoff.ts';
import { rest } from '#lib/rest.ts';
import { type Catalogue, serviceOf } from './catalogue.ts';
import { limitsOf } from './limits.ts';
import { machineEdgeOf } from './machine-edge.ts';
import { settingsSchema } from './schema.ts';

/** Between attempts to start. */
const waiting = { firstMs: 100, maxMs: 2000 };

type Init = Extract<ToFork, { kind: 'init' }>;

/**
 * Runs one service in a process of its own, as the main process tells it over the IPC channel, until told to stop or the main
 * process is gone. Ends the process itself: 0 when asked to stop, 1 when the service cannot run.
 *
 * Errors: `failed_precondition` when there is no main process.
 */
export function runFork(name: string, catalogue: Catalogue): void {
  if (!process.send || !process.connected) {
    throw failedPrecondition(`Cannot start ${name} alone: it is started by the main process`, {
      hint: 'Run `cellar start`; a service that has ended is started again by it.',
    });
  }
  // Before anything else, so that `ps` shows the service by its name.
  process.title = `cellar start --fork ${name}`;
  // The terminal sends its signals to all processes; the main process alone decides what follows.
  process.on('SIGINT', () => undefined);
  process.stdout.on('error', () => process.exit(1));
  process.stderr.on('error', () => process.exit(1));

  const registry = new Registry();
  const stopping = new AbortController();
  const service = serviceOf(catalogue, name);
  const load = service === undefined ? undefined : catalogue.services[service];
  if (!load) throw failedPrecondition(`There is no service "${name}"`);
  const loading = load();
  let schema = settingsSchema([]);
  let settings: Settings = resolveSettings(schema, []);
  let metrics: ProcessMetrics | undefined;
  let stop: ((timeoutMs: number) => Promise<void>) | undefined;
  let started: Started | undefined;
  /** A plan that came before the instance was started. */
  let newerPlan: { readonly plan: unknown } | undefined;
  const log = createLog({
    level: () => settingValue(settings, 'log.level') as LogLevel,
    write: (line) => process.stdout.write(line),
  }).with({
    service: name,
  });
  const crash = (error: unknown): void => {
    log.error('a service failed unexpectedly', { error });
    tell({ kind: 'failed', reason: error instanceof Error ? `it failed: ${error.message}` : 'it failed' });
    process.exit(1);
  };
  process.on('uncaughtException', crash);
  process.on('SIGTERM', () => void end(0, limitsOf(settings).stopMs));
  process.on('disconnect', () => void end(1, 2000));
  process.on('message', (message: ToFork) => heard(message));
  tell({ kind: 'hello' });

  function heard(message: ToFork): void {
    switch (message.kind) {
      case 'init':
        start(message).catch((error: unknown) => {
          const fault = Fault.from(error);
          log.error('a service could not start', { error });
          tell({
            kind: 'failed',
            reason: fault.cause && fault.message === 'Internal error' ? String(fault.cause) : fault.message,
          });
          process.exit(1);
        });
        return;
      case 'registry':
        if (message.registration.service !== name) registry.set(message.registration);
        return;
      case 'gone':
        if (message.service !== name) registry.remove(message.service);
        return;
      case 'plan':
        if (started) started.replan(message.plan);
        else newerPlan = message;
        return;
      case 'settings':
        settings = resolveSettings(schema, message.settings);
        return;
      case 'metrics':
        tell({ kind: 'metrics', id: message.id, families: metrics?.families() ?? [] });
        return;
      case 'stop':
        void end(0, message.timeoutMs);
    }
  }

  async function start(init: Init): Promise<void> {
    for (const registration of init.registry) if (registration.service !== name) registry.set(registration);
    const definition = await loading;
    schema = settingsSchema([definition]);
    settings = resolveSettings(schema, init.settings);
    metrics = new ProcessMetrics();
    addProcessMetrics(metrics, name);
    const cpu = sampleCpu();
    const beat = (): void => tell({ kind: 'heartbeat', memoryBytes: process.memoryUsage.rss(), cpuPercent: cpu.percent() });
    setInterval(beat, Number(settingValue(settings, 'process.heartbeatMs')));
    beat();
    const parts = await createSurroundings({
      home: init.home,
      machine: init.machine,
      socket: name,
      log,
      metrics,
      registry,
      settings: () => settings,
      restarts: init.restarts,
      machineEdge: await machineEdgeOf({ home: init.home, name: init.machine, settings, port: 0 }),
    });
    stop = () => parts.close();
    if (definition.hasHttp) await parts.listenHttp();
    const instance = {
      definition,
      instance: definition.hasInstances ? name.slice(definition.name.length + 1) : '',
      plan: init.plan,
    };
    await waitForNeeds(init.needs, instance.instance, registry, stopping.signal);
    registry.watch((registration) => {
      if (registration.service === name) tell({ kind: 'registry', registration, remote: parts.remote });
    });
    const own = await startOnceAvailable(instance, parts.surroundings);
    started = own;
    if (newerPlan) own.replan(newerPlan.plan);
    const stopHealth = watchHealth({
      started: () => [own],
      registry,
      everyMs: Number(settingValue(settings, 'process.checkMs')),
      log,
    });
    stop = async (timeoutMs) => {
      stopHealth();
      await own.stop(AbortSignal.timeout(timeoutMs));
      await parts.close();
    };
    // Asked to stop while it was starting.
    if (stopping.signal.aborted) await stop(2000);
  }

  /** What it stands on may be away, such as its database: the process waits for that and says so, rather than end and be started again. */
  async function startOnceAvailable(instance: ServiceInstance, surroundings: Surroundings): Promise<Started> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await startInstance(instance, surroundings);
      } catch (error) {
        const fault = Fault.from(error);
        if (fault.code !== Code.Unavailable || stopping.signal.aborted) throw error;
        if (attempt === 1) log.warn('a service cannot start yet', { error });
        tell({ kind: 'failed', reason: fault.message });
        await rest(backoffMs(waiting, attempt), stopping.signal);
      }
    }
  }

  async function end(exitCode: number, timeoutMs: number): Promise<void> {
    if (stopping.signal.aborted) return;
    stopping.abort();
    setTimeout(() => process.exit(1), timeoutMs + 500).unref();
    try {
      await stop?.(timeoutMs);
    } catch (error) {
      log.error('a service did not stop as it should', { error });
    }
    process.exit(exitCode);
  }

  function tell(message: FromFork): void {
    // A channel that has gone is told of by `disconnect`.
    if (process.connected) process.send?.(message, () => undefined);
  }
}
