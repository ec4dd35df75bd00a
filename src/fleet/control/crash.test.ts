import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { sqliteFactory } from '#kernel/testing/databases.ts';
import { bindClaim, endClaim } from './logic/claims.ts';
import { orderCluster } from './logic/cluster-verbs.ts';
import type { ControlParts } from './logic/control-parts.ts';
import { cleanHost, deleteHost, drainHost, resetHost } from './logic/host-verbs.ts';
import { cancelOperation, judgeOperations } from './logic/operations.ts';
import type { StoredClaim } from './store/store.ts';
import { Killer } from './testing/killer.ts';
import { blueprintOfText, createSimulation, type Simulation } from './testing/simulation.ts';

/*
 * The platform is killed before and after each of its commits, and before and after each call of an engine, one by one: whoever comes next
 * brings the pool to an end that is whole.
 */
const pair = blueprintOfText(`
blueprint: 1
name: pair
description: Two members, one after the other.
agents: [simulated]
members:
  - { role: first, command: [first], volumes: { data: /data }, ports: { rpc: { port: 1 } }, ready: [{ tcp: { port: rpc } }] }
  - { role: second, command: [second], after: [first], volumes: { data: /data } }
health:
  - { name: Silent, role: first, ask: { tcp: { port: rpc } }, message: It does not answer }
`);

const never = AbortSignal.any([]);

async function passes(simulation: Simulation, watchdog: ReturnType<Simulation['newWatchdog']>, count: number): Promise<void> {
  for (let pass = 0; pass < count; pass++) {
    simulation.clock.nowMs += 5000;
    await watchdog.pass(never);
    await judgeOperations(partsOf(simulation));
  }
}

function partsOf({ database, store, clock }: Simulation): ControlParts {
  let ids = 0;
  const unused = (): never => {
    throw new Error('This is not asked here');
  };
  return {
    ...{ database, store, now: () => clock.nowMs, append: async () => undefined, look: () => undefined, fleet: 'f' },
    ...{ newId: () => `id-${++ids}`, newSecret: () => 'ab', driverOf: unused, driverFor: unused, blueprint: unused },
  };
}

async function claimOne(simulation: Simulation): Promise<StoredClaim> {
  const { database, store, clock } = simulation;
  const wish = { blueprint: '', parameters: {}, selectors: [] };
  const waiting: StoredClaim = {
    ...{ id: 'claim', state: 'waiting', user: 'ann', userName: 'ann', wish, labels: {}, cluster: '', ttlMs: 3_600_000 },
    ...{ appliedMs: clock.nowMs, boundMs: 0, expireMs: 0, expireMsMax: clock.nowMs + 36_000_000, endedMs: 0, endReason: '' },
  };
  await database.transaction((tx) => store.addClaim(tx, waiting, 100));
  const bound = await bindClaim(partsOf(simulation), waiting);
  assert.ok(bound);
  return bound;
}

interface Verb {
  readonly name: string;
  /** Before the platform may be killed. */
  prepare(simulation: Simulation): Promise<void>;
  run(simulation: Simulation): Promise<unknown>;
  /** What a cluster may be in the end: its incarnation, 0 for gone, and whether it is used. */
  readonly ends: readonly (readonly [incarnation: number, isUsed: boolean])[];
  /** The host is gone when its cluster is. */
  readonly takesHost?: boolean;
  /** The host stays closed when the verb was done. */
  readonly closesHost?: boolean;
}

const build = async (simulation: Simulation): Promise<void> => {
  await simulation.addCluster('h', 'c', 'pair');
  await passes(simulation, simulation.newWatchdog(), 4);
  assert.equal((await simulation.store.cluster('c'))?.state, 'ready');
};
const buildUsed = async (simulation: Simulation): Promise<void> => {
  await build(simulation);
  await claimOne(simulation);
};
const order = (verb: 'reset' | 'delete') => (simulation: Simulation) =>
  orderCluster(partsOf(simulation), { name: 'c', verb, force: false, version: 0, isOwner: false, actor: 'op' });

const verbs: readonly Verb[] = [
  {
    name: 'create',
    prepare: async () => undefined,
    run: (simulation) => simulation.addCluster('h', 'c', 'pair'),
    ends: [
      [0, false],
      [1, false],
    ],
  },
  {
    name: 'reset',
    prepare: build,
    run: order('reset'),
    ends: [
      [1, false],
      [2, false],
    ],
  },
  {
    name: 'release',
    prepare: buildUsed,
    run: (simulation) => endClaim(partsOf(simulation), 'claim', 'released', 'ann'),
    ends: [
      [1, true],
      [2, false],
    ],
  },
  {
    name: 'delete',
    prepare: build,
    run: order('delete'),
    ends: [
      [1, false],
      [0, false],
    ],
  },
  {
    name: 'reset of a host',
    prepare: build,
    run: (simulation) => resetHost(partsOf(simulation), 'h', 'op'),
    ends: [
      [1, false],
      [2, false],
    ],
  },
  {
    name: 'clean of a host',
    prepare: build,
    run: (simulation) => cleanHost(partsOf(simulation), 'h', 'op'),
    ends: [
      [1, false],
      [0, false],
    ],
  },
  {
    name: 'drain of a host',
    prepare: buildUsed,
    async run(simulation) {
      await drainHost(partsOf(simulation), 'h', 0, 'op');
      await endClaim(partsOf(simulation), 'claim', 'released', 'ann');
    },
    ends: [
      [1, true],
      [2, false],
    ],
    closesHost: true,
  },
  {
    name: 'a reset of a host that is cancelled',
    prepare: build,
    async run(simulation) {
      const { id } = await resetHost(partsOf(simulation), 'h', 'op');
      await cancelOperation(partsOf(simulation), id, 'op');
    },
    ends: [
      [1, false],
      [2, false],
    ],
  },
  {
    name: 'delete of a host with a used cluster',
    prepare: buildUsed,
    run: (simulation) => deleteHost(partsOf(simulation), 'h', true, 'op'),
    ends: [
      [1, true],
      [0, false],
    ],
    takesHost: true,
  },
];

async function play(
  t: TestContext,
  { prepare, run, ends, takesHost = false, closesHost = false }: Verb,
  step: number,
): Promise<{ readonly wasKilled: boolean; readonly end: number }> {
  const killer = new Killer();
  const real = await sqliteFactory.open(t);
  const simulation = await createSimulation(killer.database(real), 1, [pair]);
  await simulation.addHost('h', { autofill: true });
  killer.watch(simulation, 'h');
  await prepare(simulation);
  killer.killAt(step);
  await run(simulation).catch((error: unknown) => {
    if (!killer.isDead) throw error;
  });
  if (!killer.isDead) {
    await passes(simulation, simulation.newWatchdog(), 6).catch((error: unknown) => {
      if (!killer.isDead) throw error;
    });
  }
  const wasKilled = killer.isDead;
  killer.revive();
  await passes(simulation, simulation.newWatchdog(), 10);

  const say = (what: string): string => `killed at step ${step}: ${what}`;
  const cluster = await simulation.store.cluster('c');
  const { members, volumes } = simulation.world.host('h');
  const end = ends.findIndex(
    ([incarnation, isUsed]) => (cluster?.incarnation ?? 0) === incarnation && ((cluster?.claim ?? '') !== '') === isUsed,
  );
  assert.ok(end >= 0, say(`it ended as ${JSON.stringify(cluster)}`));
  const wanted = cluster ? ['first', 'second'].map((name) => `c.${cluster.incarnation}.${name}`) : [];
  if (cluster) assert.deepEqual([cluster.state, cluster.health], ['ready', 'ok'], say('it is well'));
  assert.deepEqual(
    [...members.values()].map((one) => `${one.cluster}.${one.incarnation}.${one.member}`).sort(),
    wanted,
    say('members'),
  );
  assert.ok(
    [...volumes.values()].every(({ incarnation }) => incarnation === cluster?.incarnation),
    say('volumes'),
  );
  const ports = await real.get<{ count: number }>('select count(*) as count from ports');
  assert.equal(ports?.count, cluster ? 1 : 0, say('ports'));
  const host = await simulation.store.host('h');
  assert.equal(host?.clusters, takesHost && !cluster ? undefined : cluster ? 1 : 0, say('places'));
  if (host) {
    const isOpen = host.state === 'active' && !host.spec.cordoned && host.spec.autofill;
    assert.ok(isOpen || (closesHost && host.spec.cordoned), say(`the host is left ${JSON.stringify(host)}`));
  }
  const running = await simulation.store.runningOperations(10);
  // Who drains a host waits for its users.
  assert.deepEqual(
    running.filter(({ verb }) => verb !== 'drain' || !cluster?.claim),
    [],
    say('operations'),
  );
  const claim = await simulation.store.claim('claim');
  if (claim) assert.equal(claim.state, cluster?.claim === 'claim' ? 'bound' : 'ended', say('the claim'));
  return { wasKilled, end };
}

for (const verb of verbs) {
  test(`killed at every step of ${verb.name}, the pool ends whole`, async (t) => {
    const seen = new Set<number>();
    let steps = 0;
    for (let wasKilled = true; wasKilled; steps++) {
      const played = await play(t, verb, steps + 1);
      wasKilled = played.wasKilled;
      seen.add(played.end);
    }
    assert.ok(steps > 10, `only ${steps} steps were there`);
    assert.equal(seen.size, verb.ends.length, 'killed early it never was, killed late it was done');
    t.diagnostic(`${steps - 1} steps`);
  });
}
