import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Fault } from '#kernel/fault.ts';
import { sqliteFactory } from '#kernel/testing/databases.ts';
import { buildCluster } from './logic/build-cluster.ts';
import { bindClaim, endClaim } from './logic/claims.ts';
import { orderCluster } from './logic/cluster-verbs.ts';
import type { ApplyWish } from './logic/engine.ts';
import { cleanHost, createHost, updateHost } from './logic/host-verbs.ts';
import type { HostSpec, StoredClaim, StoredCluster, StoredOperation } from './store/store.ts';
import { SimulatedFleet } from './testing/simulated-fleet.ts';
import type { SimulatedPlatform } from './testing/simulated-platform.ts';
import { blueprintOfText, createSimulation } from './testing/simulation.ts';

/* What seeds of the simulation have found, each as the shortest story that shows it. */

const turnsMax = 5000;
const spec: HostSpec = {
  ...{ type: 'simulated', credentials: '', address: '', capacity: 3, capacityWeight: 0, autofill: false, warmMin: 0 },
  ...{ templates: [{ blueprint: 'solo', parameters: {} }], cordoned: false, labels: {}, portFirst: 20_000, portLast: 29_999 },
};
const wish: ApplyWish = {
  ...{ user: 'ann', userName: 'ann', blueprint: 'solo', parameters: {}, selectors: [], allowMultiple: true },
  ...{ ttlMs: 0, waitMs: 0, labels: {} },
};
const never = new AbortController().signal;
const withReason = (reason: string) => (error: unknown) => error instanceof Fault && error.reason === reason;

/** A fleet of two processes, of which the first watches, and a host. */
async function start(t: TestContext, changes: Partial<HostSpec> = {}) {
  const fleet = await SimulatedFleet.create(await sqliteFactory.open(t), 1);
  t.after(() => fleet.end());
  const [a, b] = fleet.platforms as [SimulatedPlatform, SimulatedPlatform];
  /** Lets all turns pass until something is done. */
  async function finish<T>(work: Promise<T>): Promise<T> {
    let isOver = false;
    const end = (): void => {
      isOver = true;
    };
    work.then(end, end);
    await fleet.turns.settle();
    for (let turn = 0; !isOver; turn++) {
      assert.ok(turn < turnsMax && (await fleet.turns.next()), 'it does not end');
    }
    assert.deepEqual(fleet.truth.problems, []);
    return await work;
  }
  /** So many looks at everything by one of the two. */
  async function looks(count: number, platform = a): Promise<void> {
    for (let look = 0; look < count; look++) {
      fleet.clock.nowMs += 5000;
      fleet.beginPass(platform);
      while (platform.pass) assert.ok(await fleet.turns.next());
    }
    assert.deepEqual(fleet.truth.problems, []);
  }
  const cluster = (): StoredCluster => {
    const [first] = fleet.clusters();
    assert.ok(first);
    return first;
  };
  const host = (name: string, more: Partial<HostSpec> = {}) =>
    finish(createHost(a.parts, name, { ...spec, ...changes, ...more, address: name }, 'op'));
  const order = (verb: 'stop' | 'start' | 'reset' | 'delete', isOwner: boolean, force = false) => {
    if (verb === 'reset') fleet.truth.order(isOwner ? 'own-reset' : 'reset', cluster().name);
    if (verb === 'delete') fleet.truth.order('delete', cluster().name);
    return finish(orderCluster(a.parts, { name: cluster().name, verb, force, version: 0, isOwner, actor: 'ann' }));
  };
  const build = async (): Promise<void> => {
    await finish(buildCluster(a.parts, { host: 'h1', blueprint: 'solo', parameters: {}, labels: {} }, 'op'));
    await looks(4);
    assert.equal(cluster().state, 'ready');
  };
  const apply = (): Promise<StoredClaim> => finish(a.engine.apply(wish, never));
  fleet.takeOver(0, true);
  await host('h1');
  return { fleet, a, b, finish, looks, cluster, host, order, build, apply };
}

test('a cluster that its user has built anew stays theirs', async (t) => {
  const { looks, cluster, order, build, apply } = await start(t);
  await build();
  const { id } = await apply();
  await order('reset', true);
  await looks(5);
  const { claim, owner, incarnation, state } = cluster();
  assert.deepEqual({ claim, owner, incarnation, state }, { claim: id, owner: 'ann', incarnation: 2, state: 'ready' });
  await assert.rejects(apply(), withReason('none_free'));
});

test('a used cluster that is built anew and hangs is started again until it is ready', async (t) => {
  const { fleet, looks, cluster, order, build, apply } = await start(t);
  await build();
  const { id } = await apply();
  await order('reset', true);
  const { members } = fleet.world.host('h1');
  while (!members.has(`${cluster().name}.2.node`)) await looks(1);
  for (const member of members.values()) member.isHung = true;
  await looks(40);
  assert.deepEqual([cluster().state, cluster().health, cluster().claim], ['ready', 'ok', id]);
});

test('a cluster that its user has stopped runs for the next one', async (t) => {
  const { a, finish, looks, cluster, order, build, apply } = await start(t);
  await build();
  const { id } = await apply();
  await order('stop', true);
  await looks(2);
  assert.equal(cluster().state, 'stopped');
  await finish(endClaim(a.parts, id, 'released', 'ann'));
  await looks(5);
  assert.deepEqual([cluster().state, cluster().incarnation], ['ready', 2]);
});

test('a cluster that was released and is not built anew yet is nobody’s, and can be deleted', async (t) => {
  const { a, fleet, finish, looks, order, build, apply } = await start(t);
  await build();
  const { id } = await apply();
  await finish(endClaim(a.parts, id, 'released', 'ann'));
  await order('delete', false, true);
  await looks(3);
  assert.deepEqual(fleet.clusters(), []);
});

test('a claim that gets a cluster just as it is given up gives it back', async (t) => {
  const { a, b, fleet, finish, looks, cluster, build } = await start(t);
  const waiting = a.engine.apply({ ...wish, blueprint: '', waitMs: 600_000 }, never);
  await fleet.turns.settle();
  while (fleet.claims('waiting').length === 0) await fleet.turns.next();
  const [claim] = fleet.claims('waiting');
  assert.ok(claim);
  const ending = endClaim(b.parts, claim.id, 'gave_up', 'ann');
  await fleet.turns.settle();
  a.isHalted = true;
  // It has read that the claim waits.
  await fleet.turns.next();
  Object.assign(b, { isHalted: true });
  a.isHalted = false;
  await build();
  // Given out by the look at everything, or now.
  await finish(bindClaim(a.parts, claim));
  assert.equal(cluster().claim, claim.id);
  Object.assign(b, { isHalted: false });
  await finish(ending);
  await looks(5);
  assert.deepEqual([cluster().claim, cluster().state, cluster().incarnation], ['', 'ready', 2]);
  assert.equal((await finish(waiting)).id, claim.id);
});

test('nothing is given out on a host that people have closed', async (t) => {
  const { a, finish, build, apply } = await start(t);
  await build();
  await finish(updateHost(a.parts, 'h1', { cordoned: true }, 0, 'op'));
  await assert.rejects(apply(), withReason('none_free'));
  await finish(updateHost(a.parts, 'h1', { cordoned: false }, 0, 'op'));
  await apply();
});

test('a host that is opened while it is cleaned stays open', async (t) => {
  const { a, fleet, finish, looks, build } = await start(t);
  await build();
  await finish(updateHost(a.parts, 'h1', { cordoned: true }, 0, 'op'));
  fleet.truth.order('delete', 'h1');
  await finish(cleanHost(a.parts, 'h1', 'op'));
  await finish(updateHost(a.parts, 'h1', { cordoned: false }, 0, 'op'));
  await looks(5);
  assert.deepEqual([fleet.hosts()[0]?.spec.cordoned, fleet.clusters().length], [false, 0]);
});

test('a clock that was set back holds up neither building nor repair', async (t) => {
  const { fleet, looks, cluster, build } = await start(t);
  await build();
  const { members } = fleet.world.host('h1');
  const hang = (): void => {
    for (const member of members.values()) member.isHung = true;
  };
  fleet.clock.nowMs += 86_400_000;
  hang();
  await looks(8);
  assert.deepEqual([cluster().state, cluster().incarnation], ['ready', 2]);
  // It was ready in the future, and is sick now.
  hang();
  await looks(1);
  fleet.clock.nowMs -= 86_400_000;
  await looks(25);
  assert.deepEqual([cluster().state, cluster().health, cluster().incarnation > 2], ['ready', 'ok', true]);
});

test('a watchdog that was overtaken and does not know fills no host', async (t) => {
  const { a, b, fleet, finish, looks } = await start(t, { autofill: true, warmMin: 1 });
  fleet.takeOver(1, false);
  await looks(4, b);
  await finish(updateHost(b.parts, 'h1', { warmMin: 2 }, 0, 'op'));
  await looks(4, a);
  assert.equal(fleet.clusters().length, 1);
  await looks(1, b);
  assert.equal(fleet.clusters().length, 2);
});

test('a cluster that stands still is not a warm one', async (t) => {
  const { fleet, looks, order } = await start(t, { autofill: true, warmMin: 1 });
  await looks(4);
  await order('stop', false);
  await looks(4);
  assert.deepEqual(
    fleet
      .clusters()
      .map(({ state }) => state)
      .toSorted(),
    ['ready', 'stopped'],
  );
});

test('an operation ends when something else is wanted of its cluster', async (t) => {
  const { fleet, looks, order, build } = await start(t);
  await build();
  const { id } = await order('stop', false);
  await order('start', false);
  await looks(3);
  const [operation] = fleet.rows<StoredOperation>(`select record from operations where id = '${id}'`);
  assert.deepEqual([operation?.state, operation?.message.includes('something else was wanted')], ['failed', true]);
});

test('what a host has of a cluster that lies on another one is removed', async (t) => {
  const { fleet, looks, cluster, host, build } = await start(t);
  await build();
  await host('h2');
  const other = fleet.world.host('h2').members;
  const own = fleet.world.host('h1').members;
  for (const [name, member] of own) other.set(name, { ...member });
  await looks(2);
  assert.deepEqual([other.size, own.size, cluster().health], [0, 1, 'ok']);
});

test('a cluster that is looked at before its ports were tried is one cluster, with other ports', async (t) => {
  const { b, fleet, finish, looks } = await start(t);
  fleet.world.host('h1').taken.add(20_000);
  const building = buildCluster(b.parts, { host: 'h1', blueprint: 'solo', parameters: {}, labels: {} }, 'op');
  await fleet.turns.settle();
  while (fleet.clusters().length === 0) await fleet.turns.next();
  Object.assign(b, { isHalted: true });
  await looks(2);
  Object.assign(b, { isHalted: false });
  const { name } = await finish(building);
  await looks(5);
  const [only, ...others] = fleet.clusters();
  assert.deepEqual([only?.name, only?.state, others.length], [name, 'ready', 0]);
  assert.ok(only?.ports.every(({ port }) => port > 20_000));
  assert.equal(fleet.truth.seen.get('PortsTaken'), 1, 'what is gone without having been asked for says why');
  assert.equal(fleet.world.host('h1').members.size, 1);
});

test('a chain does not stand still because the clock has jumped', async (t) => {
  const growing = blueprintOfText(`
blueprint: 1
name: growing
description: Its height has to grow.
agents: [simulated]
members:
  - { role: node, command: [node], ports: { rpc: { port: 1 } } }
health:
  - { name: Still, role: node, ask: { jsonRpc: { port: rpc, method: height } }, growsSeconds: "3600", message: It stands still }
`);
  const simulation = await createSimulation(await sqliteFactory.open(t), 1, [growing]);
  const watchdog = simulation.newWatchdog();
  t.after(() => watchdog.run(AbortSignal.abort()));
  await simulation.addHost('h1');
  await simulation.addCluster('h1', 'c', 'growing');
  for (const jumpMs of [5000, 5000, 5000, 86_400_000, 5000, 5000, 5000, 5000]) {
    simulation.clock.nowMs += jumpMs;
    await watchdog.pass(never);
  }
  const { state, health, incarnation } = (await simulation.store.cluster('c')) ?? {};
  assert.deepEqual({ state, health, incarnation }, { state: 'ready', health: 'ok', incarnation: 1 });
});
