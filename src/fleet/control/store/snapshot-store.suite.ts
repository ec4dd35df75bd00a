import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { Database } from '#kernel/database/database.ts';
import { migrate } from '#kernel/database/migrations.ts';
import { Fault } from '#kernel/fault.ts';
import type { DatabaseFactory } from '#kernel/testing/databases.ts';
import { migrations } from './migrations.ts';
import type { StoredSnapshot } from './snapshot-store.ts';
import { createFleetStore } from './sql.ts';
import type { FleetStore, HostSpec } from './store.ts';

const newSnapshot = (cluster: string, name: string, changes: Partial<StoredSnapshot> = {}): StoredSnapshot => ({
  ...{ id: `${cluster}/${name}`, cluster, name, claim: '', state: 'ready', reason: '', message: '', blueprint: 'b', digest: 'd' },
  ...{ parameters: {}, incarnation: 1, ports: [], secrets: {}, volumes: [], sizeBytes: 10, actor: 'ann', createdMs: 1 },
  ...changes,
});

const spec: HostSpec = {
  ...{ type: 'simulated', address: '', credentials: '', capacity: 3, capacityWeight: 0, autofill: false, warmMin: 0 },
  ...{ templates: [], cordoned: false, labels: {}, portFirst: 20_000, portLast: 20_009 },
};

/** What holds for snapshots on every engine. */
export function snapshotStoreSuite(factory: DatabaseFactory, skip: string | false = false): void {
  describe(`snapshots on ${factory.engine}`, { skip }, () => {
    const open = async (t: TestContext): Promise<{ store: FleetStore; database: Database }> => {
      const database = await factory.open(t);
      await migrate(database, migrations);
      const store = createFleetStore(database);
      await database.transaction((tx) =>
        store.addHost(tx, {
          ...{ name: 'h', spec, state: 'active', conditions: [], identity: 'h', engine: 'simulated', generation: 1 },
          ...{ observedGeneration: 1, version: 1, seenMs: 1, createdMs: 1, deletedMs: 0, failures: 0 },
        }),
      );
      return { store, database };
    };
    const withReason = (reason: string) => (error: unknown) => error instanceof Fault && error.reason === reason;

    test('names are unique in their cluster, and so many are kept', async (t) => {
      const { store, database } = await open(t);
      const add = (one: StoredSnapshot) => database.transaction((tx) => store.addSnapshot(tx, one, 2));
      await add(newSnapshot('a', 'one'));
      await assert.rejects(add(newSnapshot('a', 'one', { id: 'other' })), withReason('snapshot_exists'));
      await add(newSnapshot('a', 'two', { createdMs: 2 }));
      await assert.rejects(add(newSnapshot('a', 'three')), withReason('snapshots_max'));
      await add(newSnapshot('b', 'one'));
      assert.equal(await store.snapshotBytes(), 30);
      const update = (one: StoredSnapshot) => database.transaction((tx) => store.updateSnapshot(tx, one));
      assert.equal(await update(newSnapshot('a', 'one', { state: 'deleting' })), true);
      assert.equal(await update(newSnapshot('a', 'one')), false, 'what is to go does not come back');
      assert.equal(await store.snapshot('a', 'one'), undefined);
      assert.equal(await store.snapshotOf('a/one'), undefined);
      await add(newSnapshot('a', 'one', { id: 'again' }));
      assert.deepEqual(
        (await store.doomedSnapshots(10)).map(({ id }) => id),
        ['a/one'],
      );
      await database.transaction((tx) => store.removeSnapshot(tx, 'a/one'));
      assert.deepEqual(await store.doomedSnapshots(10), []);
    });

    test('they are listed by cluster, the oldest first, in pages', async (t) => {
      const { store, database } = await open(t);
      for (const [cluster, name, createdMs] of [
        ['b', 'x', 1],
        ['a', 'young', 9],
        ['a', 'old', 3],
      ] as const)
        await database.transaction((tx) => store.addSnapshot(tx, newSnapshot(cluster, name, { createdMs }), 9));
      const names: string[] = [];
      for (
        let page = await store.snapshots(undefined, undefined, 1);
        page[0];
        page = await store.snapshots(undefined, page[0], 1)
      )
        names.push(page[0].name);
      assert.deepEqual(names, ['old', 'young', 'x']);
      assert.equal((await store.snapshots('a', undefined, 9)).length, 2);
    });

    test('they go with their cluster, and with the claim under which they were taken', async (t) => {
      const { store, database } = await open(t);
      const add = (one: StoredSnapshot) => database.transaction((tx) => store.addSnapshot(tx, one, 9));
      for (const name of ['a', 'b'])
        await database.transaction((tx) =>
          store.addCluster(tx, {
            ...{ name, host: 'h', blueprint: 'b', digest: 'd', parameters: {}, labels: {}, secrets: {}, weight: 1 },
            ...{ members: [], ports: [], nowMs: 1, avoidPorts: [] },
          }),
        );
      await database.transaction((tx) => store.updateCluster(tx, 'a', 1, { claim: 'now' }));
      await add(newSnapshot('a', 'free'));
      await add(newSnapshot('a', 'own', { claim: 'now', state: 'creating' }));
      await add(newSnapshot('a', 'earlier', { claim: 'before' }));
      await add(newSnapshot('b', 'free'));
      assert.deepEqual(
        (await store.doomedSnapshots(10)).map(({ id }) => id),
        ['a/earlier'],
      );
      assert.deepEqual(
        (await store.unfinishedSnapshots(10)).map(({ id }) => id),
        ['a/own'],
      );
      await database.transaction((tx) => store.removeCluster(tx, 'a', 2));
      assert.deepEqual(
        (await store.doomedSnapshots(10)).map(({ id }) => id),
        ['a/earlier', 'a/free', 'a/own'],
      );
      assert.deepEqual(await store.unfinishedSnapshots(10), []);
      assert.equal((await store.snapshot('b', 'free'))?.state, 'ready');
    });
  });
}
