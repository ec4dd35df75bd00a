import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, type TestContext, test } from 'node:test';
import type { Database } from '#kernel/database/database.ts';
import { migrate } from '#kernel/database/migrations.ts';
import { Fault } from '#kernel/fault.ts';
import type { DatabaseFactory } from '#kernel/testing/databases.ts';
import { migrations } from './migrations.ts';
import { createFleetStore } from './sql.ts';
import type { ClaimWish, FleetStore, HostSpec, NewCluster, StoredClaim, StoredHost, StoredOperation } from './store.ts';

const spec: HostSpec = {
  type: 'simulated',
  address: '',
  credentials: '',
  capacity: 3,
  capacityWeight: 0,
  autofill: false,
  warmMin: 0,
  templates: [],
  cordoned: false,
  labels: {},
  portFirst: 20_000,
  portLast: 20_009,
};

const host = (name: string, changes: Partial<HostSpec> = {}): StoredHost => ({
  name,
  spec: { ...spec, ...changes },
  state: 'active',
  conditions: [],
  identity: `engine of ${name}`,
  engine: 'simulated',
  generation: 1,
  observedGeneration: 1,
  version: 1,
  seenMs: 1,
  createdMs: 1,
  deletedMs: 0,
  failures: 0,
});

const newCluster = (name: string, changes: Partial<NewCluster> = {}): NewCluster => ({
  name,
  host: 'h1',
  blueprint: 'evm-dev',
  digest: 'd',
  parameters: { chain: '1' },
  labels: {},
  secrets: {},
  weight: 1,
  members: [{ name: 'node', role: 'node', after: [] }],
  ports: [{ member: 'node', name: 'rpc' }],
  nowMs: 1000,
  avoidPorts: [],
  ...changes,
});

const anything: ClaimWish = { blueprint: '', parameters: {}, selectors: [] };

const newClaim = (user: string, wish: Partial<ClaimWish> = {}): StoredClaim => ({
  id: randomUUID(),
  state: 'waiting',
  user,
  userName: user,
  wish: { ...anything, ...wish },
  labels: {},
  cluster: '',
  ttlMs: 60_000,
  appliedMs: 2000,
  boundMs: 0,
  expireMs: 0,
  expireMsMax: 100_000,
  endedMs: 0,
  endReason: '',
});

const withReason = (reason: string) => (error: unknown) => error instanceof Fault && error.reason === reason;

/** What holds for the fleet's store on every engine. */
export function fleetStoreSuite(factory: DatabaseFactory, skip: string | false = false): void {
  describe(`the fleet's store on ${factory.engine}`, { skip }, () => {
    const open = async (t: TestContext): Promise<{ store: FleetStore; database: Database }> => {
      const database = await factory.open(t);
      await migrate(database, migrations);
      return { store: createFleetStore(database), database };
    };
    const add = ({ store, database }: Opened, cluster: NewCluster) => database.transaction((tx) => store.addCluster(tx, cluster));
    const makeReady = async ({ store, database }: Opened, name: string, readyMs = 1500): Promise<void> => {
      const row = await store.cluster(name);
      const changes = { state: 'ready', health: 'ok', readyMs } as const;
      assert.notEqual(await database.transaction((tx) => store.updateCluster(tx, name, row?.version ?? 0, changes)), 'conflict');
    };
    const apply = ({ store, database }: Opened, claim: StoredClaim, quota = 100) =>
      database.transaction(async (tx) => {
        await store.addClaim(tx, claim, quota);
        return await store.bind(tx, claim, 2000);
      });

    test('a host takes as many clusters as its capacity, also when they come at once', async (t) => {
      const opened = await open(t);
      await opened.database.transaction((tx) => opened.store.addHost(tx, host('h1')));
      const results = await Promise.allSettled(Array.from({ length: 8 }, (_, at) => add(opened, newCluster(`c${at}`))));
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 3);
      for (const result of results)
        if (result.status === 'rejected') assert.ok(withReason('host_full')(result.reason), result.reason);
      assert.equal((await opened.store.host('h1'))?.clusters, 3);
      const ports = (await opened.store.clusters({}, '', 10)).flatMap((cluster) => cluster.ports.map(({ port }) => port));
      assert.deepEqual(ports.toSorted(), [20_000, 20_001, 20_002]);
    });

    test('a place and its ports are free again when the cluster is gone', async (t) => {
      const opened = await open(t);
      const { store, database } = opened;
      await database.transaction((tx) => store.addHost(tx, host('h1', { capacity: 1, portLast: 20_000 })));
      await add(opened, newCluster('a'));
      await assert.rejects(add(opened, newCluster('b')), withReason('host_full'));
      assert.equal(await database.transaction((tx) => store.removeCluster(tx, 'a', 7)), 'conflict');
      assert.equal(await database.transaction((tx) => store.removeCluster(tx, 'a', 1)), 'done');
      assert.equal(await database.transaction((tx) => store.removeCluster(tx, 'a', 1)), 'done');
      assert.deepEqual((await add(opened, newCluster('b'))).ports, [{ member: 'node', name: 'rpc', port: 20_000 }]);
      assert.equal((await store.host('h1'))?.weight, 1);
    });

    test('ports that are used up, and those others have on the host, leave nothing half done', async (t) => {
      const opened = await open(t);
      await opened.database.transaction((tx) => opened.store.addHost(tx, host('h1', { portLast: 20_001 })));
      await assert.rejects(add(opened, newCluster('a', { avoidPorts: [20_000, 20_001] })), withReason('ports_used_up'));
      assert.equal((await opened.store.host('h1'))?.clusters, 0);
      assert.equal((await add(opened, newCluster('a', { avoidPorts: [20_000] }))).ports[0]?.port, 20_001);
    });

    test('capacity cannot be set below what is used, and a stale version is a conflict', async (t) => {
      const opened = await open(t);
      const { store, database } = opened;
      await database.transaction((tx) => store.addHost(tx, host('h1')));
      await add(opened, newCluster('a'));
      await add(opened, newCluster('b'));
      const update = (capacity: number, version: number) =>
        database.transaction((tx) => store.updateHost(tx, host('h1', { capacity }), version));
      await assert.rejects(update(1, 1), withReason('capacity_below_use'));
      assert.notEqual(await update(2, 1), 'conflict');
      assert.equal(await update(3, 1), 'conflict');
      await assert.rejects(
        database.transaction((tx) => store.removeHost(tx, 'h1')),
        withReason('host_used'),
      );
    });

    test('one engine belongs to one host', async (t) => {
      const { store, database } = await open(t);
      await database.transaction((tx) => store.addHost(tx, host('h1')));
      const again = (one: StoredHost) => database.transaction((tx) => store.addHost(tx, one));
      await assert.rejects(again(host('h1')), withReason('host_exists'));
      await assert.rejects(again({ ...host('h2'), identity: 'engine of h1' }), withReason('engine_taken'));
    });

    test('64 claimers of 10 clusters get 10, each another', async (t) => {
      const opened = await open(t);
      const { store, database } = opened;
      await database.transaction((tx) => store.addHost(tx, host('h1', { capacity: 100, portLast: 20_100 })));
      for (let at = 0; at < 10; at++) {
        await add(opened, newCluster(`c${at}`));
        await makeReady(opened, `c${at}`);
      }
      const claims = await Promise.all(Array.from({ length: 64 }, (_, at) => apply(opened, newClaim(`u${at}`))));
      const given = claims.flatMap((claim) => (claim ? [claim.cluster] : []));
      assert.equal(given.length, 10);
      assert.equal(new Set(given).size, 10);
      assert.equal((await store.waiting(100)).length, 54);
      for (const cluster of await store.clusters({ isUsed: true }, '', 100))
        assert.equal((await store.claim(cluster.claim))?.cluster, cluster.name);
    });

    test('a claim that two serve at once gets one cluster, and the other stays free', async (t) => {
      const opened = await open(t);
      const { store, database } = opened;
      await database.transaction((tx) => store.addHost(tx, host('h1')));
      const claim = newClaim('ann');
      await database.transaction((tx) => store.addClaim(tx, claim, 10));
      for (const name of ['c1', 'c2']) {
        await add(opened, newCluster(name));
        await makeReady(opened, name);
      }
      const bound = await Promise.all([1, 2].map(() => database.transaction((tx) => store.bind(tx, claim, 1))));
      assert.equal(bound.filter((one) => one !== undefined).length, 1);
      assert.equal((await store.clusters({ isUsed: true }, '', 10)).length, 1);
    });

    test('a quota holds, also for claims that come at once', async (t) => {
      const opened = await open(t);
      await opened.database.transaction((tx) => opened.store.addHost(tx, host('h1')));
      const results = await Promise.allSettled(Array.from({ length: 6 }, () => apply(opened, newClaim('ann'), 2)));
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 2);
      const [claim] = await opened.store.claims({ user: 'ann' }, undefined, 10);
      await opened.database.transaction((tx) => opened.store.endClaim(tx, claim?.id ?? '', 'gave_up', 3000));
      await apply(opened, newClaim('ann'), 2);
    });

    test('a claim ends once, is renewed only while it is bound, and not beyond its longest', async (t) => {
      const opened = await open(t);
      const { store, database } = opened;
      await database.transaction((tx) => store.addHost(tx, host('h1')));
      await add(opened, newCluster('a'));
      await makeReady(opened, 'a');
      const claim = await apply(opened, newClaim('ann'));
      const id = claim?.id ?? '';
      const renew = (expireMs: number) => database.transaction((tx) => store.renewClaim(tx, id, expireMs));
      assert.equal((await renew(90_000))?.expireMs, 90_000);
      assert.equal((await renew(900_000))?.expireMs, 100_000);
      assert.deepEqual(await store.expired(99_999, 10), []);
      assert.equal((await store.expired(100_000, 10))[0]?.id, id);
      const end = () => database.transaction((tx) => store.endClaim(tx, id, 'expired', 100_000));
      assert.equal((await end())?.endReason, 'expired');
      assert.equal(await end(), undefined);
      assert.equal(await renew(99_000), undefined);
    });

    test('nothing is given out on a host that is closed, and what stands still is not on its way to be free', async (t) => {
      const opened = await open(t);
      const { store, database } = opened;
      await database.transaction((tx) => store.addHost(tx, host('h1')));
      await add(opened, newCluster('a'));
      await add(opened, newCluster('b'));
      await makeReady(opened, 'a');
      const b = await store.cluster('b');
      await database.transaction((tx) => store.updateCluster(tx, 'b', b?.version ?? 0, { state: 'stopped', desired: 'stopped' }));
      assert.equal(await store.comingOn('h1'), 1);
      const close = (cordoned: boolean, version: number) =>
        database.transaction((tx) => store.updateHost(tx, host('h1', { cordoned }), version));
      await close(true, 1);
      assert.equal(await apply(opened, newClaim('ann')), undefined);
      await close(false, 2);
      assert.equal((await apply(opened, newClaim('bob')))?.cluster, 'a');
    });

    test('what a host gets back is kept when its operation is noted at the same time', async (t) => {
      const { store, database } = await open(t);
      const operation: StoredOperation = {
        ...{ id: 'o', verb: 'clean', kind: 'host', name: 'h1', goal: 'gone', targets: [], state: 'running', done: 0, failed: 0 },
        ...{ message: '', reason: '', actor: 'op', createdMs: 1, endedMs: 0, deadlineMs: 0 },
        restores: { autofill: true, cordoned: true },
      };
      await database.transaction((tx) => store.addOperation(tx, operation));
      await Promise.all([
        database.transaction((tx) => store.restoreInstead(tx, 'o', { cordoned: false })),
        database.transaction((tx) => store.updateOperation(tx, { ...operation, done: 1 })),
      ]);
      const { done, restores } = (await store.operation('o')) ?? operation;
      assert.deepEqual({ done, restores }, { done: 1, restores: { autofill: true, cordoned: false } });
    });

    test('selectors are tried in order, parameters have to be equal, the first that was ready is given', async (t) => {
      const opened = await open(t);
      await opened.database.transaction((tx) => opened.store.addHost(tx, host('h1', { capacity: 10 })));
      await add(opened, newCluster('young', { labels: { zone: 'a' } }));
      await add(opened, newCluster('old', { labels: { zone: 'a' } }));
      await add(opened, newCluster('other', { labels: { zone: 'b' }, parameters: { chain: '2' } }));
      await makeReady(opened, 'young', 1900);
      await makeReady(opened, 'old', 1200);
      await makeReady(opened, 'other', 1000);
      const zone = (value: string) => ({ host: '', labels: { zone: value } });
      const name = async (wish: Partial<ClaimWish>) => (await apply(opened, newClaim('ann', wish)))?.cluster;
      assert.equal(await name({ parameters: { chain: '3' } }), undefined);
      assert.equal(await name({ blueprint: 'etcd' }), undefined);
      assert.equal(await name({ selectors: [zone('c'), zone('a'), zone('b')] }), 'old');
      assert.equal(await name({ parameters: { chain: '1' } }), 'young');
      assert.equal(await name({}), 'other');
    });
  });
}

interface Opened {
  readonly store: FleetStore;
  readonly database: Database;
}
