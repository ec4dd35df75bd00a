import { readFileSync } from 'node:fs';
import type { Database } from '#kernel/database/database.ts';
import { migrate } from '#kernel/database/migrations.ts';
import { silentLog } from '#kernel/log.ts';
import { createSimulatedDriver } from '../../agents/simulated/driver.ts';
import { SimulatedWorld, seeded } from '../../agents/simulated/world.ts';
import type { Blueprint } from '../../blueprints/logic/blueprint.ts';
import { parseBlueprint } from '../../blueprints/logic/parse-blueprint.ts';
import { clusterWeight, fillParameters, memberGoals, portWishes } from '../../blueprints/logic/plan-members.ts';
import type { FleetEvent } from '../logic/events.ts';
import { HostSights } from '../logic/host-sights.ts';
import { StormGuard } from '../logic/storm-guard.ts';
import { createWatchdog, type Watchdog, type WatchdogParts } from '../processors/watchdog.ts';
import { migrations } from '../store/migrations.ts';
import { createFleetStore } from '../store/sql.ts';
import type { FleetStore, HostSpec, StoredHost } from '../store/store.ts';

/** A fleet on simulated hosts, with a clock that only moves when it is told to. */
export interface Simulation {
  readonly database: Database;
  readonly store: FleetStore;
  readonly world: SimulatedWorld;
  readonly events: FleetEvent[];
  readonly random: () => number;
  readonly clock: { nowMs: number };
  /** Another watchdog over the same fleet, as after a kill or on another machine. */
  newWatchdog(other?: Partial<WatchdogParts>): Watchdog;
  addHost(name: string, spec?: Partial<HostSpec>): Promise<void>;
  addCluster(host: string, name: string, blueprint: string, parameters?: Readonly<Record<string, string>>): Promise<void>;
}

const defaults: HostSpec = {
  ...{ type: 'simulated', credentials: '', address: '', capacity: 5, capacityWeight: 0, autofill: false, warmMin: 0 },
  ...{ templates: [], cordoned: false, labels: {}, portFirst: 20_000, portLast: 29_999 },
};

export const builtInText = (name: string): string =>
  readFileSync(new URL(`../../blueprints/built-in/${name}.yaml`, import.meta.url), 'utf8');

/** Errors: an `Error` that names the problems. */
export function blueprintOfText(text: string): Blueprint {
  const { blueprint, problems } = parseBlueprint(text);
  if (!blueprint) throw new Error(problems.map(({ line, column, message }) => `${line}:${column} ${message}`).join('\n'));
  return blueprint;
}

export async function createSimulation(database: Database, seed: number, blueprints: readonly Blueprint[]): Promise<Simulation> {
  await migrate(database, migrations);
  const store = createFleetStore(database);
  const world = new SimulatedWorld();
  const random = seeded(seed);
  const events: FleetEvent[] = [];
  const clock = { nowMs: 1_000_000 };
  const now = (): number => clock.nowMs;
  const byName = new Map(blueprints.map((blueprint) => [blueprint.name, blueprint]));
  const blueprintOf = async (digest: string): Promise<Blueprint> => {
    const found = byName.get(digest);
    if (!found) throw new Error(`There is no blueprint ${digest}`);
    return found;
  };
  const driverOf = async (host: string) => createSimulatedDriver({ host: world.host(host), address: host, now, random });
  return {
    ...{ database, store, world, events, random, clock },
    newWatchdog(other = {}) {
      const guard = new StormGuard({ sickMin: 3, sickShareMax: 0.4 });
      return createWatchdog({
        ...{ database, store, blueprintOf, driverOf, guard, now, log: silentLog },
        sights: new HostSights(driverOf, 5000),
        commit: async (tx, told) => tx.afterCommit(() => events.push(...told)),
        newSecret: () => 'ab',
        publicHost: () => '127.0.0.1',
        limits: {
          ...{ buildMsMax: 60_000, graceMs: 5000, failuresMax: 3, successesMin: 2, everyMs: 5000, soonMs: 500 },
          repair: { firstMs: 1000, maxMs: 60_000 },
        },
        mayRebuild: ({ host }) => guard.mayRebuild(host),
        progress: new Map(),
        ...{ periodMs: () => 5000, concurrency: 8, hostConcurrency: 4 },
        autofill: async () => false,
        afterPass: async () => undefined,
        ...other,
      });
    },
    async addHost(name, spec = {}) {
      const host: StoredHost = {
        ...{ name, state: 'active', conditions: [], identity: name, engine: 'simulated', generation: 1, observedGeneration: 1 },
        ...{ version: 1, seenMs: now(), createdMs: now(), deletedMs: 0, failures: 0 },
        spec: { ...defaults, ...spec },
      };
      await database.transaction((tx) => store.addHost(tx, host));
    },
    async addCluster(host, name, blueprintName, given = {}) {
      const blueprint = await blueprintOf(blueprintName);
      const parameters = fillParameters(blueprint, given);
      await database.transaction((tx) =>
        store.addCluster(tx, {
          ...{ name, host, blueprint: blueprintName, digest: blueprintName, parameters, labels: {}, secrets: {} },
          weight: clusterWeight(blueprint, parameters),
          members: memberGoals(blueprint, parameters),
          ports: portWishes(blueprint, parameters, 'simulated'),
          nowMs: now(),
          avoidPorts: [],
        }),
      );
    },
  };
}
