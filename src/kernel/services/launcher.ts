import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { DescService } from '@bufbuild/protobuf';
import { Streams } from '#gen/cellar/kernel/v1/streams_pb.ts';
import type { AuditEntry } from '../audit.ts';
import { answersMigrations, KeptAnswers } from '../calls/answers.ts';
import { serviceCaller } from '../calls/caller.ts';
import { createClient } from '../calls/client.ts';
import { type CallRecord, Dispatcher } from '../calls/dispatcher.ts';
import type { Endpoint } from '../calls/endpoint.ts';
import type { Database } from '../database/database.ts';
import { migrate } from '../database/migrations.ts';
import type { OpenOptions } from '../database/open.ts';
import { Fault } from '../fault.ts';
import type { Log } from '../log.ts';
import type { Secret, SettingsSpec } from '../settings/setting.ts';
import { createRetry } from '../transports/retry-budget.ts';
import { checkOnce } from './check.ts';
import type { Engines } from './engines.ts';
import { type Address, type Channels, type Registry, routeTo, ServiceState } from './registry.ts';
import {
  type Clock,
  type HttpHandler,
  instanceName,
  type Metrics,
  type Micro,
  type Running,
  type ServiceDefinition,
  type ServiceInstance,
} from './service.ts';
import { startOrder } from './start-order.ts';

/** What the services of one process share; built by whoever starts the process: `cellar start`, a fork, or a test. */
export interface Surroundings {
  readonly home: string;
  readonly machine: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly registry: Registry;
  readonly channels: Channels;
  readonly endpoint: Endpoint;
  /** Handlers of raw HTTP in this process, by service; the launcher fills it. */
  readonly http: Map<string, HttpHandler>;
  /** Sends a raw request to a service that runs elsewhere or here. */
  readonly forward: Micro['forward'];
  /** Values of a service's section, checked and frozen. */
  readonly settings: (definition: ServiceDefinition<SettingsSpec>) => unknown;
  /** Of the platform's settings. */
  readonly secret?: (key: string) => Secret | undefined;
  readonly engines: Engines;
  /** Opens the service's own database. */
  readonly openDatabase: (service: string, options: Pick<OpenOptions, 'durable'>) => Promise<Database>;
  /** Puts the file of a service's database aside; undefined: it has none. */
  readonly setDatabaseAside: (service: string) => Promise<string | undefined>;
  /** How other processes reach this one; `direct` when nothing listens. */
  readonly address: Address;
  readonly restarts?: number;
  readonly observe?: (record: CallRecord) => void;
  readonly audit?: (entry: AuditEntry) => void;
}

/** A started instance, until stopped. */
export interface Started {
  readonly name: string;
  readonly dispatcher: Dispatcher;
  readonly running: Running;
  /** Hands a new plan to the instance, which goes on. */
  replan(plan: unknown): void;
  stop(signal: AbortSignal): Promise<void>;
}

/** How long the first check may take. Unit: milliseconds. */
const firstCheckMs = 2000;

/** Starts instances in the order of their needs, each ready before the next. When one fails those before it are stopped again. */
export async function startInstances(instances: readonly ServiceInstance[], surroundings: Surroundings): Promise<Started[]> {
  const started: Started[] = [];
  const ordered = startOrder(
    instances,
    ({ definition }) => definition.name,
    ({ definition }) => definition.needs,
  );
  try {
    for (const instance of ordered) started.push(await startInstance(instance, surroundings));
  } catch (error) {
    await stopInstances(started, AbortSignal.timeout(5000));
    throw error;
  }
  return started;
}

/** Stops in reverse order: each refuses new calls, finishes those under way, then lets its parts go. */
export async function stopInstances(started: readonly Started[], signal: AbortSignal): Promise<void> {
  for (const one of started.toReversed()) await one.stop(signal);
}

export async function startInstance(instance: ServiceInstance, surroundings: Surroundings): Promise<Started> {
  try {
    return await startOnce(instance, surroundings);
  } catch (error) {
    if (!instance.definition.isRebuildable || !(error instanceof Fault) || error.reason !== 'database_corrupt') throw error;
    const name = instanceName(instance);
    const aside = await surroundings.setDatabaseAside(name);
    if (aside === undefined) throw error;
    const log = surroundings.log.with({ service: name });
    log.error('the database was damaged: it was put aside, and what it held is made anew', { aside, error });
    return await startOnce(instance, surroundings);
  }
}

async function startOnce(instance: ServiceInstance, surroundings: Surroundings): Promise<Started> {
  const { definition } = instance;
  const { registry, endpoint } = surroundings;
  const name = instanceName(instance);
  const log = surroundings.log.with({ service: name });
  const stopping = new AbortController();
  const planned = createPlanned(instance.plan);
  let last: readonly [state: ServiceState, reason: string] = [ServiceState.Starting, ''];
  const register = (state: ServiceState, reason = ''): void => {
    last = [state, reason];
    registry.set({
      service: name,
      contracts: definition.contracts.map((contract) => contract.typeName),
      plan: planned.plan,
      address: { kind: 'direct' },
      http: definition.hasHttp ? { kind: 'direct' } : undefined,
      state,
      reason,
      machine: surroundings.machine,
      pid: process.pid,
      restarts: surroundings.restarts ?? 0,
      startTimeMs: startTimeMs,
    });
  };
  const startTimeMs = surroundings.clock.now();
  register(ServiceState.Starting);
  let database: Database | undefined;
  try {
    if (definition.migrations) {
      database = await surroundings.openDatabase(name, { durable: definition.isDurable ?? false });
      await migrate(database, definition.migrations);
      await migrate(database, answersMigrations, { area: 'answers' });
    }
    const micro = await createMicro(instance, planned, { surroundings, log, database, signal: stopping.signal });
    const running = await definition.start(micro);
    const dispatcher = new Dispatcher(running.bindings, {
      service: name,
      log,
      ...(surroundings.observe ? { observe: surroundings.observe } : {}),
      ...(database ? { answers: new KeptAnswers(database, surroundings.clock.now) } : {}),
    });
    assertServesItsContracts(definition, dispatcher);
    endpoint.add(dispatcher);
    if (running.http) surroundings.http.set(name, running.http);
    const illness = await checkOnce(running, firstCheckMs);
    register(illness ? ServiceState.Unhealthy : ServiceState.Ready, illness);
    const startMs = Math.round(surroundings.clock.now() - startTimeMs);
    if (illness) log.warn('service runs, but is unhealthy', { reason: illness, startMs });
    else log.info('service is ready', { startMs });
    const own = database;
    return {
      name,
      dispatcher,
      running,
      replan: (plan) => {
        planned.take(plan);
        register(...last);
      },
      stop: async (signal) => {
        register(ServiceState.Stopping);
        stopping.abort();
        await dispatcher.drain(signal);
        endpoint.remove(name);
        surroundings.http.delete(name);
        await running.stop?.(signal);
        await own?.close();
        registry.remove(name);
        log.info('service has stopped');
      },
    };
  } catch (error) {
    stopping.abort();
    await database?.close();
    registry.remove(name);
    throw error;
  }
}

/** An instance's plan as it is now, and those who want to know of a new one. */
function createPlanned(first: unknown) {
  let plan = first;
  const watchers: ((plan: unknown) => void)[] = [];
  return {
    get plan() {
      return plan;
    },
    take: (next: unknown): void => {
      plan = next;
      for (const taken of watchers) taken(next);
    },
    watch: (taken: (plan: unknown) => void): void => void watchers.push(taken),
  };
}

interface MicroParts {
  readonly surroundings: Surroundings;
  readonly log: Log;
  readonly database: Database | undefined;
  readonly signal: AbortSignal;
}

async function createMicro(
  instance: ServiceInstance,
  planned: ReturnType<typeof createPlanned>,
  { surroundings, log, database, signal }: MicroParts,
): Promise<Micro<never>> {
  const name = instanceName(instance);
  const folder = join(surroundings.home, 'services', name);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const self = serviceCaller(name);
  const retry = createRetry();
  const own = (): Database => {
    if (!database) throw new Error(`${name} declares no migrations, so it has no database`);
    return database;
  };
  return {
    name,
    instance: instance.instance,
    settings: surroundings.settings(instance.definition) as never,
    get plan(): unknown {
      return planned.plan;
    },
    watchPlan: planned.watch,
    secret: (key) => surroundings.secret?.(key),
    home: surroundings.home,
    folder,
    log,
    clock: surroundings.clock,
    get database(): Database {
      return own();
    },
    openStream: async (stream) => {
      const { openStream } = await import('../streams/sql-stream.ts');
      const opened = await openStream({ database: own(), name: stream, now: () => surroundings.clock.now() });
      surroundings.engines.publish(`${name}/${stream}`, opened, signal);
      return opened;
    },
    followStream: async (service, stream) => {
      const { createRemoteStream } = await import('../streams/remote.ts');
      const client = createClient(Streams, {
        route: routeTo(surroundings.registry, surroundings.channels, Streams.typeName, service),
        caller: self,
        via: name,
      });
      return surroundings.engines.follow(`${service}/${stream}`, createRemoteStream({ client, name: stream }));
    },
    leases: () => surroundings.engines.leases(),
    registry: surroundings.registry,
    metrics: surroundings.metrics,
    client: (desc, request = {}) =>
      createClient(desc, {
        route: routeTo(surroundings.registry, surroundings.channels, desc.typeName, request.service),
        caller: self,
        via: name,
        retry: request.retry ?? retry,
      }),
    audit: (entry) => surroundings.audit?.({ ...entry, service: name }),
    forward: surroundings.forward,
    signal,
  };
}

function assertServesItsContracts(definition: ServiceDefinition, dispatcher: Dispatcher): void {
  const served = new Set(dispatcher.contracts.map((contract) => contract.desc as DescService));
  const missing = definition.contracts.find((contract) => !served.has(contract));
  if (missing) throw new Error(`Cannot start ${definition.name}: it declares ${missing.typeName} but does not serve it.`);
}
