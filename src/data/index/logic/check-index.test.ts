import assert from 'node:assert/strict';
import { after, describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { Database } from '#kernel/database/database.ts';
import { migrate } from '#kernel/database/migrations.ts';
import { type DatabaseFactory, postgresFactory, postgresForFile, sqliteFactory } from '#kernel/testing/databases.ts';
import { compareUtf8 } from '#lib/utf8-order.ts';
import { migrations } from '../store/migrations.ts';
import { createTreeStore } from '../store/sql.ts';
import type { StoredNode, TreeChange, TreeStore } from '../store/store.ts';
import { type CheckReport, createCheckIndex } from './check-index.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);
const patience = AbortSignal.timeout(120_000);

const put = (path: string, sizeBytes = 1): TreeChange => ({
  kind: 'put',
  path,
  entry: { isFolder: false, sizeBytes, mtimeUs: 0, inode: 0, etag: '' },
});
const tree = ['a/b/1', 'a/b/2', 'a/c/d/3', 'a/4', 'e/f/5', 'e/f/g/6', 'e/h/7', 'i/8', '9'].map((path, at) => put(path, at + 1));

interface Ready {
  readonly database: Database;
  readonly store: TreeStore;
  readonly check: (repair: boolean) => Promise<{ last: CheckReport; findings: string[] }>;
  /** How often everybody was told to start over. */
  readonly starts: () => number;
}

async function ready(factory: DatabaseFactory, t: TestContext): Promise<Ready> {
  const database = await factory.open(t);
  await migrate(database, migrations);
  const store = createTreeStore(database);
  await store.prepare('tag');
  await store.apply(database, tree, { sourcePosition: 3 });
  let starts = 0;
  const checkIndex = createCheckIndex({
    database,
    newTag: () => 'new tag',
    startOver: async () => void starts++,
  });
  return {
    database,
    store,
    async check(repair) {
      const reports = await Array.fromAsync(checkIndex({ repair }, patience));
      const last = reports.at(-1) as CheckReport;
      assert.ok(last.isDone);
      const findings = reports.flatMap((report) => report.findings);
      return { last, findings: findings.map(({ kind, path, isRepaired }) => `${kind} ${path}${isRepaired ? ' repaired' : ''}`) };
    },
    starts: () => starts,
  };
}

async function keys(store: TreeStore): Promise<string[]> {
  const found: string[] = [];
  const root = (await store.find('')) as StoredNode;
  for await (const { nodes } of store.walk(root))
    found.push(...nodes.map(({ path, isFolder }) => (isFolder ? `${path}/` : path)));
  return found;
}

const idOf = (path: string): string =>
  path.split('/').reduce((parent, name) => `(select id from folders where parent = ${parent} and name = '${name}/')`, '1');
const whole = ['a/', 'a/4', 'a/b/', 'a/b/1', 'a/b/2', 'a/c/', 'a/c/d/', 'a/c/d/3'];
const rest = ['e/', 'e/f/', 'e/f/5', 'e/f/g/', 'e/f/g/6', 'e/h/', 'e/h/7', 'i/', 'i/8'];

interface Case {
  readonly what: string;
  readonly damage: readonly string[];
  /** Found without repair. */
  readonly found: readonly string[];
  /** What is left after the repair; absent: everything, and no full pass is needed. */
  readonly left?: readonly string[];
  readonly isForSqlite?: boolean;
}

const cases: readonly Case[] = [
  { what: 'nothing', damage: [], found: [] },
  {
    what: 'a folder row that is gone',
    damage: [`delete from folders where id = ${idOf('a/c')}`],
    found: ['orphan d'],
    left: ['9', 'a/', 'a/4', 'a/b/', 'a/b/1', 'a/b/2', ...rest],
  },
  {
    what: 'a folder row with files that is gone',
    damage: [`delete from folders where id = ${idOf('a/b')}`],
    found: ['orphan 1', 'orphan 2'],
    left: ['9', 'a/', 'a/4', 'a/c/', 'a/c/d/', 'a/c/d/3', ...rest],
  },
  {
    what: 'another parent',
    damage: [`update folders set parent = ${idOf('i')} where id = ${idOf('a/b')}`],
    found: ['labels i/b'],
    left: ['9', 'a/', 'a/4', 'a/c/', 'a/c/d/', 'a/c/d/3', ...rest.slice(0, -1), 'i/8', 'i/b/', 'i/b/1', 'i/b/2'],
  },
  {
    what: 'folders that lie in each other',
    damage: [`update folders set parent = ${idOf('a/c/d')} where id = ${idOf('a/c')}`],
    found: ['cycle'],
    left: ['9', 'a/', 'a/4', 'a/b/', 'a/b/1', 'a/b/2', ...rest],
  },
  {
    what: 'shifted labels',
    damage: ['update folders set pos = pos + 5000000, last = last + 4000000 where id > 5'],
    found: ['labels'],
    left: ['9', ...whole, ...rest],
  },
  {
    what: 'labels that are all the same',
    damage: ['update folders set pos = 7, last = 7'],
    found: ['labels'],
    left: ['9', ...whole, ...rest],
  },
  {
    what: 'labels that reach beyond those around them, and over nothing',
    damage: [`update folders set last = last + 5 where id = ${idOf('a/c')}`],
    found: ['labels a/c'],
    left: ['9', ...whole, ...rest],
  },
  { what: 'wrong sums', damage: [`update folders set own_files = 77 where id = ${idOf('e/f')}`], found: ['sums e/f'] },
  { what: 'sums of nothing', damage: ['update folders set own_bytes = own_bytes + 1'], found: ['sums '] },
  { what: 'a counter set back', damage: ['update state set next_id = 2'], found: ['counter '] },
  { what: 'one id twice', damage: [`update files set id = 3 where name = '5'`], found: ['counter e/f/5'] },
  { what: 'files in the wrong listings', damage: ['update files set is_ranked = 1'], found: ['sums '] },
  { what: 'an index that is gone', damage: ['drop index folders_pos', 'drop index files_time'], found: ['engine '] },
  {
    what: 'a name twice',
    damage: [
      'drop index folders_name',
      `insert into folders (id, parent, name, pos, last, own_files, own_bytes, mtime_us, inode) values (900, 1, 'a/', 1, 1, 0, 0, 0, 0)`,
    ],
    found: ['engine ', 'duplicate a'],
    left: ['9', ...whole, ...rest],
  },
  {
    what: 'a file named like a folder',
    damage: [`insert into files (folder, name, id, size, mtime_us, inode, etag, is_ranked) values (1, 'a', 901, 1, 0, 0, '', 0)`],
    found: ['duplicate a'],
    left: ['9', ...whole, ...rest],
  },
  {
    what: 'names that nothing can have',
    damage: [`update files set name = '../x' where name = '7'`, `update folders set name = 'b' where id = ${idOf('a/b')}`],
    found: ['name a/b', 'name e/h'],
    left: ['9', 'a/', 'a/4', 'a/c/', 'a/c/d/', 'a/c/d/3', ...rest.filter((key) => key !== 'e/h/7')],
  },
  { what: 'a root that is gone', damage: ['delete from folders where id = 1'], found: ['root '], left: ['9', ...whole, ...rest] },
  { what: 'a state that is gone', damage: ['delete from state'], found: ['root '], left: ['9', ...whole, ...rest] },
];

for (const [factory, options] of [
  [sqliteFactory, {}],
  [postgresFactory(server), { skip }],
] as const)
  describe(`the check of an index on ${factory.engine}`, options, () => {
    for (const { what, damage, found, left } of cases)
      test(`${what}: found, healed as far as can be known`, async (t) => {
        const { database, store, check, starts } = await ready(factory, t);
        for (const sql of damage) await database.transaction((tx) => tx.script(sql));
        const seen = await check(false);
        for (const one of found)
          assert.ok(
            seen.findings.some((text) => text.startsWith(one)),
            `${one} in ${seen.findings}`,
          );
        assert.equal(seen.last.found > 0, found.length > 0);
        assert.equal(seen.last.needsFullPass, left !== undefined);
        assert.equal(starts(), 0);
        const healed = await check(true);
        assert.ok(
          healed.findings.every((text) => text.endsWith(' repaired')),
          healed.findings.join(),
        );
        assert.equal(healed.last.repaired, healed.last.found);
        assert.equal(starts(), left === undefined ? 0 : 1);
        assert.deepEqual(await keys(store), (left ?? ['9', ...whole, ...rest]).toSorted(compareUtf8));
        assert.deepEqual((await check(false)).findings, []);
        const [event] = await store.apply(database, [put('a/b/new')]);
        assert.ok(event && event.node.id > 15);
        assert.deepEqual((await check(false)).findings, []);
      });

    test('whatever rows are damaged, a repair leaves an index without fault that goes on working', async (t) => {
      const { database, store, check } = await ready(factory, t);
      const id = fc.integer({ min: 1, max: 22 });
      const label = fc.integer({ min: -5, max: 2 ** 24 });
      const damage = fc.oneof(
        id.map((one) => `delete from folders where id = ${one}`),
        id.map((one) => `delete from files where id = ${one}`),
        fc
          .tuple(id, fc.integer({ min: -1, max: 22 }))
          .map(([one, parent]) => `update folders set parent = ${parent} where id = ${one}`),
        fc.tuple(id, label, label).map(([one, pos, last]) => `update folders set pos = ${pos}, last = ${last} where id = ${one}`),
        fc.tuple(id, label).map(([one, by]) => `update folders set pos = pos + ${by} where id > ${one}`),
        fc
          .tuple(id, fc.integer({ min: -3, max: 9 }))
          .map(([one, by]) => `update folders set own_files = ${by}, own_bytes = ${by} where id = ${one}`),
        fc.tuple(id, id).map(([one, folder]) => `update files set folder = ${folder} where id = ${one}`),
        fc.tuple(id, id).map(([one, other]) => `update files set id = ${other} where id = ${one}`),
        fc
          .tuple(id, fc.constantFrom('a/', 'x', '', '../', 'a/b/'))
          .map(([one, name]) => `update folders set name = '${name}' where id = ${one}`),
        fc.constant('update state set next_id = 1'),
        fc.constant('delete from state'),
        fc.constant('drop index if exists folders_name'),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 6 }), async (damages) => {
          for (const sql of damages) {
            // Some are refused by what still stands, as they would be in life.
            await database.transaction((tx) => tx.script(sql)).catch(() => undefined);
          }
          const { last } = await check(true);
          assert.equal(last.repaired, last.found);
          assert.deepEqual((await check(false)).findings, []);
          await store.apply(database, tree);
          assert.deepEqual((await check(false)).findings, []);
          const paths = new Set(await keys(store));
          for (const { path } of tree) assert.ok(paths.has(path), path);
        }),
        { numRuns: factory.engine === 'sqlite' ? 60 : 25 },
      );
    });
  });
