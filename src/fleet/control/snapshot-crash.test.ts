import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import type { Database } from '#kernel/database/database.ts';
import { silentLog } from '#kernel/log.ts';
import { sqliteFactory } from '#kernel/testing/databases.ts';
import { createSimulatedDriver } from '../agents/simulated/driver.ts';
import { planMembers } from '../blueprints/logic/plan-members.ts';
import type { ClusterRef, Driver } from '../driver/driver.ts';
import { bindClaim, endClaim } from './logic/claims.ts';
import { orderCluster } from './logic/cluster-verbs.ts';
import { cancelOperation, judgeOperations } from './logic/operations.ts';
import { SnapshotFiles } from './logic/snapshot-files.ts';
import { restoreSnapshot, type SnapshotParts, takeSnapshot } from './logic/snapshot-verbs.ts';
import { tidySnapshots } from './logic/tidy-snapshots.ts';
import { createVolumeMover } from './processors/volume-mover.ts';
import type { StoredClaim, StoredCluster } from './store/store.ts';
import { Killer } from './testing/killer.ts';
import { blueprintOfText, createSimulation, type Simulation } from './testing/simulation.ts';

/*
 * As crash.test.ts, for what is done with volumes: whoever comes next ends it, and no cluster stays stopped. All steps take a minute, so that
 * only each third is tried unless CELLAR_SNAPSHOT_STRIDE=1 asks for all.
 */
const stride = Number(process.env['CELLAR_SNAPSHOT_STRIDE'] ?? 3);

const pair = blueprintOfText(`
blueprint: 1
name: pair
description: Two members, one after the other.
agents: [simulated]
secrets: { token: { bytes: 8 } }
members:
  - { role: first, command: [first], volumes: { data: /data }, ports: { rpc: { port: 1 } }, ready: [{ tcp: { port: rpc } }] }
  - { role: second, command: [second], after: [first], volumes: { data: /data } }
health:
  - { name: Silent, role: first, ask: { tcp: { port: rpc } }, message: It does not answer }
`);
const placesOf = (incarnation: number) => ['first', 'second'].map((member) => `c.${incarnation}.${member}.data`);
const places = placesOf(1);

interface Ground {
  readonly simulation: Simulation;
  readonly killer: Killer;
  readonly real: Database;
  readonly parts: SnapshotParts;
  /** What the volumes hold. */
  readonly held: Map<string, string>;
  readonly folder: string;
  /** A platform that lives for so many passes. */
  live(passes: number): Promise<void>;
}

async function open(t: TestContext): Promise<Ground> {
  const folder = mkdtempSync(join(tmpdir(), 'cellar-snapshots-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const killer = new Killer();
  const real = await sqliteFactory.open(t);
  const simulation = await createSimulation(killer.database(real), 1, [pair]);
  const { database, store, clock, world } = simulation;
  const now = (): number => clock.nowMs;
  const held = new Map(places.map((place) => [place, 'one']));
  const driverOf = async (host: string): Promise<Driver> => {
    const driver = createSimulatedDriver({ host: world.host(host), address: host, now, random: simulation.random });
    /** The engine hears of it, or not. */
    const hear = (signal: AbortSignal) => driver.freePorts([], signal);
    const nameOf = ({ cluster, incarnation }: ClusterRef, member: string, volume: string) =>
      `${cluster}.${incarnation}.${member}.${volume}`;
    const assertStopped = async (ref: ClusterRef, signal: AbortSignal) => {
      const { members } = await driver.observe(ref.cluster, signal);
      assert.ok(members.every(({ state }) => state === 'exited'));
    };
    return {
      ...driver,
      probe: async (signal) => ({ ...(await driver.probe(signal)), abilities: ['snapshot'] }),
      async *saveVolume(ref, member, volume, signal) {
        await assertStopped(ref, signal);
        yield Buffer.from(held.get(nameOf(ref, member, volume)) ?? '');
        await hear(signal);
      },
      async loadVolume(ref, member, volume, archive, signal) {
        await assertStopped(ref, signal);
        const content = (await buffer(archive)).toString();
        await hear(signal);
        held.set(nameOf(ref, member, volume), content);
        await hear(signal);
      },
    };
  };
  const files = new SnapshotFiles(folder);
  const unused = (): never => {
    throw new Error('This is not asked here');
  };
  let ids = 0;
  const parts: SnapshotParts = {
    ...{ database, store, driverOf, now, files, fleet: 'f', append: async () => undefined, look: () => undefined },
    ...{ newId: () => `id-${++ids}`, newSecret: () => 'ab', driverFor: unused, blueprint: unused },
    blueprintOf: async () => pair,
    snapshotLimits: () => ({ countMax: 5, totalBytesMax: 1_000_000 }),
    planOf: async ({ name: cluster, incarnation, parameters, secrets, ports }) =>
      planMembers(pair, { cluster, incarnation, parameters, secrets, ports, agent: 'simulated', publicHost: '127.0.0.1' }),
  };
  return {
    ...{ simulation, killer, real, parts, held, folder },
    async live(passes) {
      const signal = AbortSignal.any([]);
      const mover = createVolumeMover({
        ...{ database, store, driverOf, files, now, log: silentLog },
        commit: async () => killer.assertAlive(),
        ...{ look: () => undefined, sizeBytesMax: () => 1_000_000 },
      });
      const watchdog = simulation.newWatchdog({
        mover,
        newSecret: () => String(++ids),
        afterPass: async () => {
          await tidySnapshots({ ...parts, commit: async () => killer.assertAlive() });
          await judgeOperations(parts);
        },
      });
      try {
        for (let pass = 0; pass < passes; pass++) {
          clock.nowMs += 5000;
          await watchdog.pass(signal);
          await mover.settled();
        }
      } finally {
        await mover.settled();
      }
    },
  };
}

async function clusterOf({ simulation }: Ground): Promise<StoredCluster> {
  const cluster = await simulation.store.cluster('c');
  assert.ok(cluster);
  return cluster;
}

const passesMax = 12;

/** Kills at a step of `order` and of what follows it, then lets the next platform live. Result: whether there was such a step. */
async function play(ground: Ground, step: number, order: () => Promise<unknown>, incarnations = [1]): Promise<boolean> {
  const { killer, simulation } = ground;
  killer.killAt(step);
  const unlessDead = (error: unknown): void => {
    if (!killer.isDead) throw error;
  };
  await order().catch(unlessDead);
  if (!killer.isDead) await ground.live(passesMax).catch(unlessDead);
  const wasKilled = killer.isDead;
  killer.revive();
  await ground.live(passesMax);
  const { state, health, work, incarnation } = await clusterOf(ground);
  assert.deepEqual([state, health, work], ['ready', 'ok', undefined], `killed at step ${step}: the cluster is well`);
  assert.ok(incarnations.includes(incarnation));
  assert.ok([...simulation.world.host('h').members.values()].every((one) => one.state === 'running'));
  return wasKilled;
}

async function prepared(t: TestContext): Promise<Ground> {
  const ground = await open(t);
  const { simulation, killer } = ground;
  await simulation.addHost('h');
  await simulation.addCluster('h', 'c', 'pair');
  await ground.live(4);
  killer.watch(simulation, 'h');
  return ground;
}

test('killed at steps of a snapshot: it is whole, or nobody has heard of it', async (t) => {
  const seen = new Set<string>();
  let steps = 0;
  for (let wasKilled = true; wasKilled; steps += stride) {
    const ground = await prepared(t);
    const { parts, simulation, folder } = ground;
    wasKilled = await play(ground, steps + 1, async () => takeSnapshot(parts, await clusterOf(ground), 's', 'ann'));
    const snapshot = await simulation.store.snapshot('c', 's');
    const [operation] = await simulation.store.operations({}, undefined, 2);
    assert.equal(operation?.state, snapshot ? 'done' : undefined, operation?.message ?? '');
    assert.equal(snapshot?.state ?? 'ready', 'ready', snapshot?.message ?? '');
    if (snapshot) assert.equal((await parts.files.check(snapshot, AbortSignal.any([]))).length, 2);
    assert.deepEqual(readdirSync(folder), snapshot ? [snapshot.id] : []);
    seen.add(snapshot ? 'there' : 'not there');
  }
  assert.ok(steps > 10 && seen.size === 2, `${steps} steps, ${[...seen]}`);
  t.diagnostic(`${steps} steps, each ${stride}.`);
});

test('killed at steps of a restore: all volumes hold what was saved, or none does', async (t) => {
  const seen = new Set<string>();
  let steps = 0;
  for (let wasKilled = true; wasKilled; steps += stride) {
    const ground = await prepared(t);
    const { parts, simulation, held } = ground;
    await takeSnapshot(parts, await clusterOf(ground), 's', 'ann');
    await ground.live(passesMax);
    const snapshot = await simulation.store.snapshot('c', 's');
    assert.ok(snapshot?.state === 'ready', snapshot?.message ?? '');
    for (const place of places) held.set(place, 'two');
    wasKilled = await play(ground, steps + 1, async () => {
      const cluster = await clusterOf(ground);
      return await restoreSnapshot(parts, cluster, snapshot, cluster, 'ann');
    });
    const [first, second] = places.map((place) => held.get(place));
    assert.equal(first, second);
    const operations = await simulation.store.operations({}, undefined, 9);
    assert.ok(operations.every(({ state }) => state === 'done'));
    assert.equal(operations.length, first === 'one' ? 2 : 1);
    seen.add(first ?? '');
  }
  assert.ok(steps > 10 && seen.size === 2, `${steps} steps, ${[...seen]}`);
  t.diagnostic(`${steps} steps, each ${stride}.`);
});

test('killed at steps of a restore after a reset: the keys of the snapshot are there with its volumes, or neither', async (t) => {
  const seen = new Set<string>();
  let steps = 0;
  for (let wasKilled = true; wasKilled; steps += stride) {
    const ground = await prepared(t);
    const { parts, simulation, held } = ground;
    await takeSnapshot(parts, await clusterOf(ground), 's', 'ann');
    await ground.live(passesMax);
    const snapshot = await simulation.store.snapshot('c', 's');
    assert.ok(snapshot?.state === 'ready');
    await orderCluster(parts, { name: 'c', verb: 'reset', force: false, version: 0, isOwner: false, actor: 'ann' });
    await ground.live(passesMax);
    const reset = await clusterOf(ground);
    assert.ok(reset.incarnation === 2 && reset.secrets['token'] !== undefined);
    for (const place of placesOf(2)) held.set(place, 'two');
    const order = async () => restoreSnapshot(parts, await clusterOf(ground), snapshot, await clusterOf(ground), 'ann');
    wasKilled = await play(ground, steps + 1, order, [2, 3]);
    const { incarnation, secrets } = await clusterOf(ground);
    const isRestored = incarnation === 3;
    assert.deepEqual(secrets, isRestored ? snapshot.secrets : reset.secrets);
    for (const place of placesOf(incarnation)) assert.equal(held.get(place), isRestored ? 'one' : 'two');
    seen.add(isRestored ? 'restored' : 'as it was');
  }
  assert.ok(steps > 10 && seen.size === 2, `${steps} steps, ${[...seen]}`);
  t.diagnostic(`${steps} steps, each ${stride}.`);
});

test('cancelled before it is done: the members run again, and nothing is left', async (t) => {
  const ground = await prepared(t);
  const { parts, simulation, folder } = ground;
  const { id } = await takeSnapshot(parts, await clusterOf(ground), 's', 'ann');
  await cancelOperation(parts, id, 'ann');
  await ground.live(passesMax);
  const { state, health, work } = await clusterOf(ground);
  assert.deepEqual([state, health, work], ['ready', 'ok', undefined]);
  assert.equal((await simulation.store.snapshot('c', 's'))?.state, 'failed');
  assert.deepEqual(readdirSync(folder), []);
});

test('given back while it is put back: the next user gets nothing of it', async (t) => {
  const ground = await prepared(t);
  const { parts, simulation, held } = ground;
  const { database, store, clock } = simulation;
  const wish = { blueprint: '', parameters: {}, selectors: [] };
  const waiting: StoredClaim = {
    ...{ id: 'claim', state: 'waiting', user: 'ann', userName: 'ann', wish, labels: {}, cluster: '', ttlMs: 3_600_000 },
    ...{ appliedMs: clock.nowMs, boundMs: 0, expireMs: 0, expireMsMax: clock.nowMs + 36_000_000, endedMs: 0, endReason: '' },
  };
  await database.transaction((tx) => store.addClaim(tx, waiting, 100));
  assert.ok(await bindClaim(parts, waiting));
  await takeSnapshot(parts, await clusterOf(ground), 's', 'ann');
  await ground.live(passesMax);
  await orderCluster(parts, { name: 'c', verb: 'reset', force: false, version: 0, isOwner: true, actor: 'ann' });
  await ground.live(passesMax);
  const snapshot = await store.snapshot('c', 's');
  assert.ok(snapshot?.state === 'ready' && snapshot.claim === 'claim');
  await restoreSnapshot(parts, await clusterOf(ground), snapshot, await clusterOf(ground), 'ann');
  // Until the cluster is on its way to the keys of the snapshot.
  while ((await clusterOf(ground)).work?.keys !== 'there') await ground.live(1);
  held.clear();
  await endClaim(parts, 'claim', 'released', 'ann');
  await ground.live(passesMax);
  const { claim, work, secrets, state, health } = await clusterOf(ground);
  assert.deepEqual([claim, work, state, health], ['', undefined, 'ready', 'ok']);
  assert.notDeepEqual(secrets, snapshot.secrets);
  assert.equal(held.size, 0, 'nothing was loaded');
  assert.equal(await store.snapshotOf(snapshot.id), undefined);
  assert.deepEqual(readdirSync(ground.folder), []);
  const [operation] = await store.operations({ state: 'failed' }, undefined, 1);
  assert.equal(operation?.verb, 'restore');
});
