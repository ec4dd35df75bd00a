import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { sqliteFactory } from '#kernel/testing/databases.ts';
import { bindClaim, endClaim } from '../logic/claims.ts';
import type { StoredClaim, StoredCluster } from '../store/store.ts';
import { blueprintOfText, builtInText, createSimulation, type Simulation } from '../testing/simulation.ts';

const evm = blueprintOfText(builtInText('evm-dev'));
const trio = blueprintOfText(`
blueprint: 1
name: trio
description: Three members, the last after the others.
agents: [simulated]
members:
  - role: node
    count: 2
    command: [node]
    volumes: { data: /data }
    ports: { rpc: { port: 1 } }
    ready: [{ tcp: { port: rpc } }]
  - role: maker
    command: [maker]
    after: [node]
health:
  - { name: QuorumLost, role: node, ask: { tcp: { port: rpc } }, need: majority, message: Too few nodes answer }
`);

const start = async (t: TestContext, seed = 1): Promise<Simulation> =>
  createSimulation(await sqliteFactory.open(t), seed, [evm, trio]);

const never = AbortSignal.any([]);

async function passes(simulation: Simulation, count: number, watchdog = simulation.newWatchdog()): Promise<void> {
  for (let pass = 0; pass < count; pass++) {
    simulation.clock.nowMs += 5000;
    await watchdog.pass(never);
  }
}

async function claim(simulation: Simulation, user = 'ann'): Promise<StoredClaim | undefined> {
  const { database, store, clock } = simulation;
  const wish = { blueprint: '', parameters: {}, selectors: [] };
  const waiting: StoredClaim = {
    ...{ id: randomUUID(), state: 'waiting', user, userName: user, wish, labels: {}, cluster: '', ttlMs: 3_600_000 },
    ...{ appliedMs: clock.nowMs, boundMs: 0, expireMs: 0, expireMsMax: clock.nowMs + 36_000_000, endedMs: 0, endReason: '' },
  };
  await database.transaction((tx) => store.addClaim(tx, waiting, 100));
  return await bindClaim(claimParts(simulation), waiting);
}

const claimParts = ({ database, store, clock, events }: Simulation) => ({
  ...{ database, store, now: () => clock.nowMs },
  append: async (tx: Parameters<Parameters<typeof database.transaction>[0]>[0], told: readonly (typeof events)[number][]) =>
    tx.afterCommit(() => events.push(...told)),
});

const get = async ({ store }: Simulation, name: string): Promise<StoredCluster> => {
  const cluster = await store.cluster(name);
  assert.ok(cluster, name);
  return cluster;
};

test('a cluster is built in the order of its members and is ready when all are well', async (t) => {
  const simulation = await start(t);
  await simulation.addHost('h1');
  await simulation.addCluster('h1', 'c1', 'trio');
  await passes(simulation, 1);
  assert.deepEqual([...simulation.world.host('h1').members.keys()], ['c1.1.node-0', 'c1.1.node-1']);
  await passes(simulation, 1);
  assert.equal(simulation.world.host('h1').members.size, 3);
  await passes(simulation, 1);
  const { state, health, readyMs } = await get(simulation, 'c1');
  assert.deepEqual({ state, health }, { state: 'ready', health: 'ok' });
  assert.equal(readyMs, simulation.clock.nowMs);
});

test('a used cluster is started again, a free one that stays sick is built anew', async (t) => {
  const simulation = await start(t);
  const watchdog = simulation.newWatchdog();
  await simulation.addHost('h1');
  await simulation.addCluster('h1', 'used', 'evm-dev');
  await simulation.addCluster('h1', 'free', 'evm-dev');
  await passes(simulation, 3, watchdog);
  const given = await claim(simulation);
  const [used, free] = given?.cluster === 'used' ? ['used', 'free'] : ['free', 'used'];
  const { members } = simulation.world.host('h1');
  for (const name of [used, free]) Object.assign(members.get(`${name}.1.node`) ?? {}, { isHung: true });
  await passes(simulation, 8, watchdog);
  assert.deepEqual([(await get(simulation, used ?? '')).incarnation, (await get(simulation, used ?? '')).health], [1, 'ok']);
  assert.deepEqual([(await get(simulation, free ?? '')).incarnation, (await get(simulation, free ?? '')).health], [2, 'ok']);
});

test('a released cluster goes back to the pool as the next incarnation, with nothing of the last one left', async (t) => {
  const simulation = await start(t);
  await simulation.addHost('h1');
  await simulation.addCluster('h1', 'c1', 'trio');
  await passes(simulation, 4);
  const given = await claim(simulation);
  await endClaim(claimParts(simulation), given?.id ?? '', 'released', 'ann');
  assert.equal(await claim(simulation, 'bob'), undefined);
  await passes(simulation, 5);
  assert.deepEqual(
    [...simulation.world.host('h1').volumes.values()].map(({ incarnation }) => incarnation),
    [2, 2],
  );
  // Bob has waited.
  assert.equal((await get(simulation, 'c1')).owner, 'bob');
});

test('a host that is away makes its clusters unknown, and nothing is done to them', async (t) => {
  const simulation = await start(t);
  const watchdog = simulation.newWatchdog();
  await simulation.addHost('h1');
  await simulation.addCluster('h1', 'c1', 'evm-dev');
  await passes(simulation, 3, watchdog);
  simulation.world.host('h1').troubles.isAway = true;
  await passes(simulation, 4, watchdog);
  assert.deepEqual(
    [(await get(simulation, 'c1')).health, (await simulation.store.host('h1'))?.state],
    ['unknown', 'unreachable'],
  );
  assert.equal(await claim(simulation), undefined);
  simulation.world.host('h1').troubles.isAway = false;
  await passes(simulation, 2, watchdog);
  assert.deepEqual([(await get(simulation, 'c1')).health, (await get(simulation, 'c1')).incarnation], ['ok', 1]);
  assert.equal((await simulation.store.host('h1'))?.state, 'active');
});

test('a host that is away can be deleted; what was left on it goes when it is added again', async (t) => {
  const simulation = await start(t);
  const { database, store, world } = simulation;
  await simulation.addHost('h1');
  await simulation.addCluster('h1', 'c1', 'evm-dev');
  await passes(simulation, 3);
  world.host('h1').troubles.isAway = true;
  const cluster = await get(simulation, 'c1');
  await database.transaction((tx) => store.updateCluster(tx, 'c1', cluster.version, { desired: 'absent' }));
  const host = await store.host('h1');
  assert.ok(host);
  await database.transaction((tx) => store.updateHost(tx, { ...host, state: 'deleting', deletedMs: 1 }, host.version));
  await passes(simulation, 2);
  assert.ok(await store.cluster('c1'), 'a short outage is waited for');
  await passes(simulation, 3);
  assert.deepEqual([await store.cluster('c1'), await store.host('h1')], [undefined, undefined]);
  assert.ok(world.host('h1').members.size > 0);
  world.host('h1').troubles.isAway = false;
  await simulation.addHost('h1');
  await passes(simulation, 1);
  assert.equal(world.host('h1').members.size + world.host('h1').volumes.size, 0);
});

test('the storm guard holds: when most are sick at once nothing is rebuilt', async (t) => {
  const simulation = await start(t);
  const watchdog = simulation.newWatchdog();
  await simulation.addHost('h1', { capacity: 10 });
  for (let at = 0; at < 10; at++) await simulation.addCluster('h1', `c${at}`, 'evm-dev');
  await passes(simulation, 3, watchdog);
  for (const member of simulation.world.host('h1').members.values()) member.isHung = true;
  await passes(simulation, 12, watchdog);
  const incarnations = (await simulation.store.clusters({}, '', 100)).map(({ incarnation }) => incarnation);
  assert.ok(incarnations.filter((incarnation) => incarnation > 1).length <= 4, incarnations.join());
});

test('orphans are removed, and a deleted cluster leaves nothing', async (t) => {
  const simulation = await start(t);
  await simulation.addHost('h1');
  await simulation.addCluster('h1', 'c1', 'trio');
  await passes(simulation, 4);
  const { version } = await get(simulation, 'c1');
  await simulation.database.transaction((tx) => simulation.store.removeCluster(tx, 'c1', version));
  await passes(simulation, 1);
  assert.equal(simulation.world.host('h1').members.size + simulation.world.host('h1').volumes.size, 0);
  await simulation.addCluster('h1', 'c2', 'trio');
  await passes(simulation, 4);
  const cluster = await get(simulation, 'c2');
  await simulation.database.transaction((tx) => simulation.store.updateCluster(tx, 'c2', cluster.version, { desired: 'absent' }));
  await passes(simulation, 2);
  assert.equal(await simulation.store.cluster('c2'), undefined);
  assert.equal(simulation.world.host('h1').members.size + simulation.world.host('h1').volumes.size, 0);
});
