import type { Database } from '#kernel/database/database.ts';
import { Fault } from '#kernel/fault.ts';
import { fenced } from '#kernel/leases/fence.ts';
import { type Log, silentLog } from '#kernel/log.ts';
import type { Bell } from '#lib/bell.ts';
import type { Blueprint } from '../../blueprints/logic/blueprint.ts';
import type { Driver } from '../../driver/driver.ts';
import type { ControlParts } from '../logic/control-parts.ts';
import { createEngine, type Engine } from '../logic/engine.ts';
import type { FleetEvent } from '../logic/events.ts';
import { HostSights } from '../logic/host-sights.ts';
import { autofillHost } from '../logic/host-verbs.ts';
import { judgeOperations } from '../logic/operations.ts';
import { StormGuard, type StormLimits } from '../logic/storm-guard.ts';
import { createWatchdog, type Watchdog } from '../processors/watchdog.ts';
import { createFleetStore } from '../store/sql.ts';
import type { StoredCluster } from '../store/store.ts';
import type { Effect } from './fleet-truth.ts';
import type { Process, Turns } from './turns.ts';

export const storm: StormLimits = { sickMin: 3, sickShareMax: 0.4 };
export const limits = {
  ...{ buildMsMax: 60_000, graceMs: 5000, failuresMax: 3, successesMin: 2, everyMs: 5000, soonMs: 500 },
  repair: { firstMs: 1000, maxMs: 30_000 },
};
export const claimLimits = { ttlMs: 1_800_000, ttlMsMax: 7_200_000, quota: 4 };
const leaseName = 'fleet-watchdog';
/** Nothing is waited for in real time. */
const longMs = 2_000_000_000;

/** What all processes of a simulated installation share. */
export interface Ground {
  readonly turns: Turns;
  readonly database: Database;
  readonly clock: { nowMs: number; monotonicMs: number };
  readonly newSecret: (bytes: number) => string;
  readonly blueprints: ReadonlyMap<string, Blueprint>;
  /** The engine of a host itself, without anything between. */
  readonly engineOf: (host: string) => Driver;
  /** What the one agent knows of whose time has passed. */
  readonly agent: { newest: number };
  /** A transaction has ended well. */
  onCommit(process: Process): void;
  /** Events are in it. */
  onTold(process: SimulatedPlatform, events: readonly FleetEvent[]): void;
  /** An engine is about to be changed. */
  onEffect(host: string, verb: Effect, cluster: string, incarnation: number): void;
  /** Something threw what is no `Fault`. */
  onSurprise(what: string, error: unknown): void;
}

/** One process of the control plane: its verbs, its watchdog, and what it has in memory. */
export interface SimulatedPlatform extends Process {
  readonly parts: ControlParts;
  readonly engine: Engine;
  readonly watchdog: Watchdog;
  /** What its storm guard has counted last: sick and all, by host, and of all hosts by ''. */
  readonly counted: Map<string, { sick: number; all: number }>;
  /** Of the lease it believes to have; 0: none. */
  epoch: number;
  believes: boolean;
  /** Ends the pass that is on. */
  pass: AbortController | undefined;
}

export function createPlatform(ground: Ground, name: string): SimulatedPlatform {
  const { clock, blueprints, newSecret } = ground;
  const process: Process = { name, isDead: false, isHalted: false };
  const database = gated(ground, process);
  const store = createFleetStore(database);
  const now = (): number => clock.nowMs;
  let ids = 0;
  const append: ControlParts['append'] = async (tx, told) =>
    tx.afterCommit(() => {
      ground.onTold(platform, told);
      if (told.some(({ reason }) => reason === 'ClusterReady' || reason === 'ClusterHealthy')) engine.ring();
    });
  const driverFor: ControlParts['driverFor'] = async ({ host }) => behindAgent(ground, platform, host);
  const driverOf: ControlParts['driverOf'] = async (host) => behindAgent(ground, platform, host);
  const parts: ControlParts = {
    ...{ database, store, append, driverOf, driverFor, now, newSecret, fleet: 'f' },
    blueprint: async (wanted) => {
      const blueprint = blueprints.get(wanted);
      if (!blueprint) throw new Fault('not_found', `There is no blueprint "${wanted}"`, { reason: 'blueprint_missing' });
      return { blueprint, digest: wanted, text: '', isBuiltIn: true };
    },
    look: () => undefined,
    newId: () => `${name}-${++ids}`,
  };
  const commit: ControlParts['append'] = async (tx, told) => {
    await fenced(tx, leaseName, platform.epoch);
    await append(tx, told);
  };
  const engine = createEngine(parts, () => claimLimits, {
    monotonicMs: () => clock.monotonicMs,
    createBell: () => simulatedBell(ground, process),
  });
  const counted: SimulatedPlatform['counted'] = new Map();
  const guard = new StormGuard(storm);
  const watchdog = createWatchdog({
    ...{ database, store, driverOf, now, newSecret, log: watchful(ground) },
    blueprintOf: async (digest) => (await parts.blueprint(digest)).blueprint,
    guard: Object.assign(Object.create(guard), {
      count(clusters: readonly StoredCluster[]): void {
        guard.count(clusters);
        countSick(counted, clusters);
      },
      mayRebuild: (host: string) => guard.mayRebuild(host),
    }) as StormGuard,
    sights: new HostSights(driverOf, longMs),
    commit,
    publicHost: () => '127.0.0.1',
    limits,
    mayRebuild: ({ host }) => guard.mayRebuild(host),
    progress: new Map(),
    ...{ periodMs: () => longMs, concurrency: 8, hostConcurrency: 2 },
    autofill: (host) => autofillHost({ ...parts, append: commit }, host.name),
    afterPass: () => judgeOperations({ ...parts, append: commit }),
  });
  const platform: SimulatedPlatform = Object.assign(process, {
    ...{ parts, engine, watchdog, counted, epoch: 0, believes: false, pass: undefined },
  });
  return platform;
}

function countSick(counted: SimulatedPlatform['counted'], clusters: readonly StoredCluster[]): void {
  counted.clear();
  for (const { host, failures, repairs, state } of clusters) {
    for (const group of ['', host]) {
      const known = counted.get(group) ?? { sick: 0, all: 0 };
      const isSick = failures > 0 || repairs > 0 || state === 'failed';
      counted.set(group, { sick: known.sick + (isSick ? 1 : 0), all: known.all + 1 });
    }
  }
}

/** Each statement and each transaction waits for its turn, and again after a commit. */
function gated({ turns, database, onCommit }: Ground, process: Process): Database {
  const read = async <T>(work: () => Promise<T>): Promise<T> => {
    await turns.gate(process);
    return await turns.real(work);
  };
  return Object.assign(Object.create(database) as Database, {
    all: (...args: Parameters<Database['all']>) => read(() => database.all(...args)),
    get: (...args: Parameters<Database['get']>) => read(() => database.get(...args)),
    run: (...args: Parameters<Database['run']>) => read(() => database.run(...args)),
    transaction: async (...args: Parameters<Database['transaction']>) => {
      await turns.gate(process);
      const done = await turns.real(() => database.transaction(...args));
      onCommit(process);
      await turns.gate(process);
      return done;
    },
  });
}

/** An engine as it is reached through the agent, which refuses who was overtaken. A call may be on its way for long, and so may its answer. */
function behindAgent(ground: Ground, platform: SimulatedPlatform, host: string): Driver {
  const { turns, agent } = ground;
  const engine = ground.engineOf(host);
  const never = new AbortController().signal;
  const ask = async <T>(work: () => Promise<T>): Promise<T> => {
    await turns.gate(platform);
    agent.newest = Math.max(agent.newest, platform.epoch);
    const done = await work();
    await turns.gate(platform);
    return done;
  };
  const change = async <T>(verb: Effect, ref: { cluster: string; incarnation: number }, work: () => Promise<T>): Promise<T> => {
    const { epoch } = platform;
    await turns.gate(platform);
    if (epoch < agent.newest) throw new Fault('aborted', 'Another watchdog works now', { reason: 'epoch_passed' });
    agent.newest = epoch;
    await turns.gate(platform);
    ground.onEffect(host, verb, ref.cluster, ref.incarnation);
    const done = await work();
    await turns.gate(platform);
    return done;
  };
  return {
    ...engine,
    probe: () => ask(() => engine.probe(never)),
    observe: (cluster) => ask(() => engine.observe(cluster, never)),
    freePorts: (ports) => ask(() => engine.freePorts(ports, never)),
    ask: (ref, questions) => ask(() => engine.ask(ref, questions, never)),
    create: (ref, members, labels) => change('create', ref, () => engine.create(ref, members, labels, never)),
    start: (ref, members) => change('start', ref, () => engine.start(ref, members, never)),
    stop: (ref, members) => change('stop', ref, () => engine.stop(ref, members, never)),
    remove: (ref) => change('remove', ref, () => engine.remove(ref, never)),
  };
}

function simulatedBell({ turns, clock }: Ground, process: Process): Bell {
  let hasRung = false;
  return {
    ring() {
      hasRung = true;
    },
    async wait(timeoutMs, signal) {
      const dueMs = clock.monotonicMs + timeoutMs;
      await turns.gate(process, () => hasRung || signal.aborted || clock.monotonicMs >= dueMs);
      hasRung = false;
    },
  };
}

/** A log that looks at the errors: what is no `Fault` is nobody's intention. */
function watchful({ onSurprise }: Ground): Log {
  const look: Log['warn'] = (message, { error } = {}) => {
    if (error !== undefined && !(error instanceof Fault)) onSurprise(message, error);
  };
  return { ...silentLog, warn: look, error: look };
}
