import assert from 'node:assert/strict';
import { after, describe, type TestContext, test } from 'node:test';
import type { Database } from '#kernel/database/database.ts';
import { migrate } from '#kernel/database/migrations.ts';
import { type DatabaseFactory, postgresFactory, postgresForFile, sqliteFactory } from '#kernel/testing/databases.ts';
import { sortUtf8 } from '#lib/utf8-order.ts';
import { walkFolders } from './folder-runs.ts';
import { migrations } from './migrations.ts';
import { createTreeStore } from './sql.ts';
import type { StoredNode, TreeChange } from './store.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);

const put = (path: string, more: Partial<StoredNode> = {}): TreeChange => ({
  kind: 'put',
  path,
  entry: { isFolder: false, sizeBytes: 1, mtimeUs: 1_700_000_000_123_456, inode: 7, etag: '', ...more },
});

async function filled(factory: DatabaseFactory, t: TestContext, changes: readonly TreeChange[]) {
  const database = await factory.open(t);
  await migrate(database, migrations);
  const store = createTreeStore(database);
  await store.prepare('tag');
  await store.apply(database, changes);
  return { database, store };
}

async function runsOf(database: Database, top: StoredNode) {
  return (await Array.fromAsync(walkFolders(database, top))).flat();
}

for (const [factory, options] of [
  [sqliteFactory, {}],
  [postgresFactory(server), { skip }],
] as const)
  describe(`runs of folders on ${factory.engine}`, options, () => {
    test('folders come in tree order, files in the order of their names, with all that storage said', async (t) => {
      const { database, store } = await filled(factory, t, [
        ...[
          put('b/c/x'),
          put('b-'),
          put('a', { sizeBytes: 5, mtimeUs: -1, inode: 2n ** 53n + 1n }),
          put('b/\ufffd'),
          put('b/\u{1f600}'),
        ],
        put('b/c-/y'),
        put('b', { isFolder: true, mtimeUs: 9, inode: 8 }),
      ]);
      const runs = await runsOf(database, (await store.find('')) as StoredNode);
      assert.deepEqual(
        runs.map(({ path, count, files }) => [path, count, files]),
        [
          ['', 2, 'a/5/-1/9007199254740993/b-/1/1700000000123456/7'],
          ['b', 2, '\ufffd/1/1700000000123456/7/\u{1f600}/1/1700000000123456/7'],
          ['b/c-', 1, 'y/1/1700000000123456/7'],
          ['b/c', 1, 'x/1/1700000000123456/7'],
        ],
      );
      assert.deepEqual(runs[1]?.folder, { mtimeUs: 9, inode: 8 });
      const below = await runsOf(database, (await store.find('b')) as StoredNode);
      assert.deepEqual(below, runs.slice(1));
    });

    test('large folders come in several runs, many small ones in few pieces', async (t) => {
      const many = Array.from({ length: 2000 }, (_, at) => put(`big/f${at}`));
      const small = Array.from({ length: 600 }, (_, at) => put(`small/d${at}/f`));
      const { database, store } = await filled(factory, t, [...many, ...small]);
      const pieces = await Array.fromAsync(walkFolders(database, (await store.find('')) as StoredNode));
      assert.ok(pieces.length < 10);
      const runs = pieces.flat();
      const big = runs.filter(({ path }) => path === 'big');
      assert.deepEqual(
        big.map(({ count, folder }) => [count, folder !== undefined]),
        [
          [1000, true],
          [1000, false],
        ],
      );
      const names = big.flatMap(({ files }) => files.split('/').filter((_, at) => at % 4 === 0));
      assert.deepEqual(names, sortUtf8(many.map(({ path }) => path.slice(4))));
      assert.deepEqual(
        runs.filter(({ path }) => path.startsWith('small/')).map(({ path }) => path),
        sortUtf8(small.map(({ path }) => path.slice(0, -1))).map((path) => path.slice(0, -1)),
      );
    });
  });
