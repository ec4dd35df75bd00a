import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, type TestContext, test } from 'node:test';
import type { Database } from '#kernel/database/database.ts';
import { migrate } from '#kernel/database/migrations.ts';
import { type DatabaseFactory, postgresFactory, postgresForFile, sqliteFactory } from '#kernel/testing/databases.ts';
import { temporaryFolder } from '#kernel/testing/engines.ts';
import { migrations } from '../store/migrations.ts';
import { createTreeStore } from '../store/sql.ts';
import type { StoredNode, TreeChange, TreeStore } from '../store/store.ts';
import { createSnapshots, type Snapshots } from './snapshots.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);
const postgres = postgresFactory(server);
const patience = AbortSignal.timeout(60_000);

interface Ready {
  readonly database: Database;
  readonly store: TreeStore;
  readonly snapshots: Snapshots;
}

async function ready(factory: DatabaseFactory, t: TestContext, folder: string): Promise<Ready> {
  const database = await factory.open(t);
  await migrate(database, migrations);
  const store = createTreeStore(database);
  await store.prepare('tag');
  const snapshots = createSnapshots({
    ...{ database, folder, kept: 5, now: Date.now, head: async () => 0, onRestored: async () => undefined },
  });
  return { database, store, snapshots };
}

async function walkAll(store: TreeStore): Promise<StoredNode[]> {
  const nodes: StoredNode[] = [];
  for await (const piece of store.walk((await store.find('')) as StoredNode)) nodes.push(...piece.nodes);
  return nodes;
}

const changes = Array.from({ length: 5000 }, (_, at): TreeChange => {
  const entry = {
    isFolder: false,
    sizeBytes: at,
    mtimeUs: at * 1000,
    inode: at % 2 ? at : 2n ** 60n + BigInt(at),
    etag: `e${at}`,
  };
  return { kind: 'put', path: `f${at % 70}/g${at % 3}/\\n"ü${at}`, entry };
});

for (const [from, to, options] of [
  [sqliteFactory, sqliteFactory, {}],
  [sqliteFactory, postgres, { skip }],
  [postgres, sqliteFactory, { skip }],
] as const)
  test(`a snapshot taken on ${from.engine} while others write is restored on ${to.engine}`, options, async (t) => {
    using folder = temporaryFolder();
    const source = await ready(from, t, folder.path);
    await source.store.apply(source.database, changes);
    const expected = await walkAll(source.store);
    const taking = source.snapshots.take(patience);
    let isFirst = true;
    for (;;) {
      const { done } = await taking.next();
      if (done) break;
      if (isFirst)
        await source.store.apply(source.database, [
          { kind: 'delete', path: 'f1' },
          { kind: 'move', path: 'f2', newPath: 'z' },
        ]);
      isFirst = false;
    }
    assert.ok(!isFirst);
    const target = await ready(to, t, folder.path);
    await target.store.apply(target.database, [{ ...(changes[0] as TreeChange), path: 'old' }]);
    const [snapshot] = await target.snapshots.list();
    assert.equal(snapshot?.files, 5000);
    for await (const _ of target.snapshots.restore(snapshot.name, patience));
    assert.deepEqual(await walkAll(target.store), expected);
    assert.equal((await target.store.totals()).files, 5000);
    const { id } = (await target.store.apply(target.database, [{ ...(changes[0] as TreeChange), path: 'new' }]))[0]?.node ?? {};
    assert.ok(id && expected.every((node) => node.id !== id));
  });

describe('a damaged snapshot', () => {
  for (const [what, damage] of [
    ['cut short', (bytes: Buffer) => bytes.subarray(0, bytes.length - 20)],
    ['with a byte changed', (bytes: Buffer) => bytes.with(bytes.length >> 1, 255 - (bytes[bytes.length >> 1] ?? 0))],
    [
      'with another beginning',
      (bytes: Buffer) => Buffer.from(bytes.toString('latin1').replace('"nextId":', '"nextId":1'), 'latin1'),
    ],
    ['empty', () => Buffer.alloc(0)],
  ] as const)
    test(`${what} is refused and changes nothing`, async (t) => {
      using folder = temporaryFolder();
      const { database, store, snapshots } = await ready(sqliteFactory, t, folder.path);
      await store.apply(database, changes.slice(0, 300));
      for await (const _ of snapshots.take(patience));
      const [file = ''] = readdirSync(folder.path);
      const path = join(folder.path, file);
      writeFileSync(path, damage(readFileSync(path)));
      await store.apply(database, changes.slice(300, 600));
      const before = await walkAll(store);
      const restoring = Array.fromAsync(snapshots.restore(file.replace('.index', ''), patience));
      await assert.rejects(restoring, { code: 'data_loss', reason: 'snapshot_damaged' });
      assert.deepEqual(await walkAll(store), before);
      if (what === 'empty') assert.match((await snapshots.list())[0]?.problem ?? '', /no beginning/);
    });

  test('a snapshot that is given up leaves no file', async (t) => {
    using folder = temporaryFolder();
    const { database, store, snapshots } = await ready(sqliteFactory, t, folder.path);
    await store.apply(database, changes);
    const given = new AbortController();
    await assert.rejects(async () => {
      for await (const _ of snapshots.take(given.signal)) given.abort();
    });
    assert.deepEqual(readdirSync(folder.path), []);
  });
});
