import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { Database } from '#kernel/database/database.ts';
import { migrate } from '#kernel/database/migrations.ts';
import type { DatabaseFactory } from '#kernel/testing/databases.ts';
import { compareUtf8 } from '#lib/utf8-order.ts';
import { migrations, rankedFilesMin } from './migrations.ts';
import { createTreeStore, placeOf } from './sql.ts';
import type { ListOrder, ListPlace, StoredEntry, StoredNode, TreeChange, TreeEvent, TreeStore, WalkOptions } from './store.ts';
import { ModelTree } from './tree-model.ts';

export const file = (sizeBytes: number, more: Partial<StoredEntry> = {}): StoredEntry => ({
  ...{ isFolder: false, sizeBytes, mtimeUs: 1_700_000_000_000_000, inode: 7, etag: '' },
  ...more,
});
const folder: StoredEntry = { isFolder: true, sizeBytes: 0, mtimeUs: 5, inode: 3, etag: '' };
const put = (path: string, entry: StoredEntry): TreeChange => ({ kind: 'put', path, entry });
const remove = (path: string): TreeChange => ({ kind: 'delete', path });
const move = (path: string, newPath: string): TreeChange => ({ kind: 'move', path, newPath });
const copy = (path: string, newPath: string): TreeChange => ({ kind: 'copy', path, newPath });
const told = (events: readonly TreeEvent[]): string[] =>
  events.map(({ kind, node, oldPath }) => `${kind} ${oldPath ? `${oldPath} > ` : ''}${node.path}${node.isFolder ? '/' : ''}`);

/** What holds for the tree of an index on every engine. */
export function treeStoreSuite(
  factory: DatabaseFactory,
  options: { readonly skip?: string | false; readonly runs: number },
): void {
  describe(`the tree of an index on ${factory.engine}`, { skip: options.skip ?? false }, () => {
    const ready = async (t: TestContext): Promise<{ database: Database; store: TreeStore }> => {
      const database = await factory.open(t);
      await migrate(database, migrations);
      const store = createTreeStore(database);
      await store.prepare('tag');
      return { database, store };
    };

    test('what is put is found, missing folders are made, sums follow', async (t) => {
      const { database, store } = await ready(t);
      const events = await store.apply(database, [put('a/b/x.txt', file(10)), put('a/y', file(5)), put('z', file(1))], {
        sourcePosition: 9,
      });
      assert.deepEqual(told(events), ['created a/', 'created a/b/', 'created a/b/x.txt', 'created a/y', 'created z']);
      const { id, ...found } = (await store.find('a')) as StoredNode;
      assert.ok(id > 1);
      assert.deepEqual(found, { path: 'a', isFolder: true, files: 2, sizeBytes: 15, mtimeUs: 0, inode: 0, etag: '' });
      assert.equal((await store.find('a/b/x.txt'))?.sizeBytes, 10);
      assert.equal(await store.find('a/b/nothing'), undefined);
      assert.equal(await store.find('z/below/a/file'), undefined);
      assert.deepEqual(await store.totals(), { files: 3, folders: 2, sizeBytes: 16 });
      assert.deepEqual(await store.state(), { tag: 'tag', sourcePosition: 9 });
    });

    test('paths of any depth are found', async (t) => {
      const { database, store } = await ready(t);
      const path = Array.from({ length: 200 }, (_, at) => `f${at}`).join('/');
      await store.apply(database, [put(`${path}/x`, file(1))]);
      assert.equal((await store.find(`${path}/x`))?.sizeBytes, 1);
      assert.equal((await store.find(path))?.files, 1);
      assert.equal(await store.find(`${path}/y/z`), undefined);
      assert.equal(await store.find(`other/${path}/x`), undefined);
    });

    test('a change that says nothing new is no event', async (t) => {
      const { database, store } = await ready(t);
      await store.apply(database, [put('a', file(1)), put('f', folder)]);
      assert.deepEqual(
        told(await store.apply(database, [put('a', file(1)), put('f', folder), remove('nothing')], { sourcePosition: 3 })),
        [],
      );
      assert.deepEqual(told(await store.apply(database, [put('a', file(1, { etag: 'e' }))])), []);
      assert.equal((await store.find('a'))?.etag, 'e');
      assert.deepEqual(told(await store.apply(database, [put('a', file(1))])), []);
      assert.equal((await store.find('a'))?.etag, 'e', 'an unknown etag does not replace a known one');
      assert.deepEqual(told(await store.apply(database, [put('a', file(2))])), ['updated a']);
      assert.equal((await store.find('a'))?.etag, '', 'nor does a known one outlive its content');
      assert.deepEqual(told(await store.apply(database, [put('f', { ...folder, mtimeUs: 99 })])), []);
      assert.equal((await store.find('f'))?.mtimeUs, 99);
      assert.equal((await store.state()).sourcePosition, 3);
    });

    test('ids are kept by moves, and a moved folder takes all along with one event', async (t) => {
      const { database, store } = await ready(t);
      await store.apply(database, [put('a/b/c/x', file(1)), put('a/b/y', file(2)), put('t/u', file(4)), put('t/old/v', file(8))]);
      const before = (await store.find('a/b/c/x')) as StoredNode;
      assert.deepEqual(told(await store.apply(database, [move('a/b', 't/old')])), ['deleted t/old/', 'moved a/b > t/old/']);
      assert.equal((await store.find('t/old/c/x'))?.id, before.id);
      assert.equal(await store.find('a/b'), undefined);
      assert.equal((await store.find('t'))?.sizeBytes, 7);
      assert.equal((await store.find('a'))?.files, 0);
      assert.deepEqual(told(await store.apply(database, [move('t/old/c/x', 'x')])), ['moved t/old/c/x > x']);
      assert.equal((await store.find('x'))?.id, before.id);
      await assert.rejects(store.apply(database, [put('new', file(1)), move('t', 't/old')]), { reason: 'move_into_itself' });
      await assert.rejects(store.apply(database, [put('new', file(1)), move('none', 't/1')]), { reason: 'node_missing' });
      assert.equal(await store.find('new'), undefined, 'all or none');
    });

    test('a file takes the place of a folder and the other way round', async (t) => {
      const { database, store } = await ready(t);
      await store.apply(database, [put('a/x', file(1)), put('a/y/z', file(1))]);
      assert.deepEqual(told(await store.apply(database, [put('a', file(3))])), ['deleted a/', 'created a']);
      assert.deepEqual(told(await store.apply(database, [put('a/new', file(3))])), ['deleted a', 'created a/', 'created a/new']);
      assert.deepEqual(await store.totals(), { files: 1, folders: 1, sizeBytes: 3 });
    });

    test('integers beyond those a number holds come back', async (t) => {
      const { database, store } = await ready(t);
      const entry = file(1, { inode: 2n ** 62n + 1n });
      await store.apply(database, [put('a', entry)]);
      assert.equal((await store.find('a'))?.inode, 2n ** 62n + 1n);
      assert.deepEqual(await store.apply(database, [put('a', entry)]), []);
    });

    test('pages of every order give each entry once, in order', async (t) => {
      const { database, store } = await ready(t);
      const names = ['b', 'B', 'a', 'ä', 'zz', '10', '9', '\u{1f600}', '\uffee', 'a-b', 'c'];
      const changes = names.flatMap((name, at) => [
        put(name, file(at % 3, { mtimeUs: 1000 - (at % 4) })),
        put(`${name}-f/inside`, file(at % 2)),
        put(`${name}-f`, { ...folder, mtimeUs: 997 + (at % 4) }),
      ]);
      await store.apply(database, changes);
      const root = (await store.find('')) as StoredNode;
      for (const order of ['name', 'size', 'time'] as const) {
        for (const isDescending of [false, true]) {
          for (const limit of [1, 3, 100]) {
            const listed = await pages(store, root, order, isDescending, limit);
            const expected = listed.toSorted(byPlace(order, isDescending));
            assert.equal(new Set(listed.map(({ path }) => path)).size, names.length * 2);
            assert.deepEqual(
              listed.map(({ path }) => path),
              expected.map(({ path }) => path),
              `${order} ${isDescending} ${limit}`,
            );
          }
        }
      }
    });

    test('a walk is in tree order, whatever the sizes of its pages', async (t) => {
      const { database, store } = await ready(t);
      const changes = Array.from({ length: 1300 }, (_, at) => put(`f${at % 7}/${at % 2 ? `g${at % 650}/` : ''}n${at}`, file(1)));
      await store.apply(database, changes);
      const walked = await walkAll(store);
      assert.deepEqual(walked, walked.toSorted(compareUtf8));
      assert.equal(walked.filter((key) => !key.endsWith('/')).length, 1300);
    });

    test('a walk over many pieces, with folders and files of one folder in turns, goes on from any place', async (t) => {
      const { database, store } = await ready(t);
      const changes = Array.from({ length: 1200 }, (_, at) => [
        put(`n${at}`, file(1)),
        put(`d${at}/x`, file(1)),
        put(`d${at}/y`, file(1)),
      ]).flat();
      const large = Array.from({ length: 4100 }, (_, at) => put(`large/f${at}`, file(at)));
      await store.apply(database, [...changes, ...large, put('large/between/z', file(1))]);
      const walked = await walkAll(store);
      assert.deepEqual(walked, walked.toSorted(compareUtf8));
      assert.equal(walked.length, 1200 * 4 + 4100 + 3);
      for (const after of ['d77/', 'd77/x', 'd77/none', 'large/between/', 'large/f2', 'n5', 'zzz']) {
        const rest = walked.filter((key) => compareUtf8(key, after) > 0);
        assert.deepEqual(await walkAll(store, { after }), rest, after);
      }
    });

    test('a walk goes on where it was while folders are renumbered, moved and deleted', async (t) => {
      const { database, store } = await ready(t);
      const changes = Array.from({ length: 1500 }, (_, at) => put(`d${String(at).padStart(4, '0')}/e/f`, file(1)));
      await store.apply(database, changes);
      const root = (await store.find('')) as StoredNode;
      const seen: string[] = [];
      for await (const { nodes } of store.walk(root)) {
        if (seen.length === 0) {
          await crowd(database);
          await store.apply(database, [remove((nodes.at(-1) as StoredNode).path.slice(0, 5)), move('d1400', 'a')]);
        }
        seen.push(...nodes.map(({ path }) => path));
      }
      assert.deepEqual(seen, seen.toSorted(compareUtf8));
      assert.equal(new Set(seen).size, seen.length);
      assert.ok(seen.length >= 4494 && !seen.includes('d1400'));
    });

    test('a copy has ids of its own, the same files and no inodes, with one event', async (t) => {
      const { database, store } = await ready(t);
      const etagged = file(2, { etag: 'e' });
      await store.apply(database, [put('a/b/x', etagged), put('a/b/c/y', file(3)), put('a/z', file(4)), put('t/old', file(9))]);
      assert.deepEqual(told(await store.apply(database, [copy('a', 't')])), ['deleted t/', 'copied t/']);
      const [from, to] = [(await store.find('a/b/x')) as StoredNode, (await store.find('t/b/x')) as StoredNode];
      assert.deepEqual({ ...to, id: 0 }, { ...from, id: 0, path: 't/b/x', inode: 0 });
      assert.notEqual(to.id, from.id);
      assert.deepEqual(await store.totals(), { files: 6, folders: 6, sizeBytes: 18 });
      assert.deepEqual(told(await store.apply(database, [copy('a/z', 'a/b/x'), copy('a/z', 'new/z'), copy('a/z', 't')])), [
        ...['updated a/b/x', 'created new/', 'created new/z', 'deleted t/', 'created t'],
      ]);
      await assert.rejects(store.apply(database, [copy('a', 'a/b/c')]), { reason: 'copy_into_itself' });
      await assert.rejects(store.apply(database, [copy('a/b', 'a')]), { reason: 'copy_into_itself' });
      await assert.rejects(store.apply(database, [copy('none', 'b')]), { reason: 'node_missing' });
      await assertSound(database);
    });

    test('quietly, new files are told by their folders, before folders go elsewhere', async (t) => {
      const { database, store } = await ready(t);
      await store.apply(database, [put('a/old', file(1))]);
      const changes = [put('a/1', file(1)), put('a/2', file(1)), put('a/old', file(2)), move('a', 'b'), put('b/3', file(1))];
      const events = await store.apply(database, changes, { isQuiet: true });
      assert.deepEqual(told(events), ['updated a/old', 'filled a/', 'moved a > b/', 'filled b/']);
      assert.deepEqual(
        events.map(({ came, node }) => [came, node.files]),
        [
          [undefined, 0],
          [2, 3],
          [undefined, 3],
          [1, 4],
        ],
      );
    });

    test('folders become large and their files are listed by size and time all the same', async (t) => {
      const { database, store } = await ready(t);
      const count = rankedFilesMin + 200;
      const changes = Array.from({ length: count }, (_, at) =>
        put(`large/f${at}`, file((at * 7919) % 1000, { mtimeUs: (at * 104_729) % 997 })),
      );
      for (let at = 0; at < count; at += 500) await store.apply(database, changes.slice(at, at + 500));
      await store.apply(database, [put('small/x', file(5000)), move('small/x', 'large/x'), move('large/f1', 'small/f1')]);
      await store.apply(database, [copy('large', 'copied'), put('copied/y', file(6000))]);
      for (const path of ['large', 'copied']) {
        const top = (await store.find(path)) as StoredNode;
        for (const order of ['size', 'time'] as const) {
          for (const isDescending of [false, true]) {
            const listed = await pages(store, top, order, isDescending, 300);
            assert.equal(listed.length, path === 'large' ? count : count + 1);
            assert.deepEqual(listed, listed.toSorted(byPlace(order, isDescending)));
          }
        }
      }
      const unranked =
        'select count(*) as count from files join folders on folder = folders.id where files.is_ranked <> folders.is_ranked';
      assert.deepEqual(await database.get(unranked), { count: 0 });
    });

    test('folders made at one place again and again renumber only when they must', async (t) => {
      const { database, store } = await ready(t);
      await store.apply(database, [put('z', folder)]);
      // Always in front of all others, which halves the gap at the parent's own label.
      for (let at = 400; at > 0; at--) await store.apply(database, [put(`f${String(at).padStart(4, '0')}/x`, file(1))]);
      await assertSound(database);
      assert.equal((await store.totals()).folders, 401);
      const root = (await store.find('')) as StoredNode;
      assert.equal(root.files, 400);
    });

    test('any changes leave the tree that a simple model has', async (t) => {
      const { database, store } = await ready(t);
      const name = fc.constantFrom('a', 'b', 'c', 'a-');
      const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));
      const change: fc.Arbitrary<TreeChange> = fc.oneof(
        { weight: 4, arbitrary: fc.tuple(path, fc.nat(3)).map(([at, size]) => put(at, file(size))) },
        { weight: 3, arbitrary: path.map((at) => put(at, folder)) },
        { weight: 2, arbitrary: path.map(remove) },
        { weight: 3, arbitrary: fc.tuple(path, path).map(([from, to]) => move(from, to)) },
        { weight: 2, arbitrary: fc.tuple(path, path).map(([from, to]) => copy(from, to)) },
      );
      await fc.assert(
        fc.asyncProperty(fc.array(change, { maxLength: 40 }), fc.integer({ min: 1, max: 8 }), async (changes, batch) => {
          await database.run('delete from files');
          await database.run('delete from folders where parent <> 0');
          // Crowded labels, so that renumbering happens all the time.
          await database.run('update folders set own_files = 0, own_bytes = 0, pos = 0, last = 0');
          const model = new ModelTree();
          const possible = changes.filter((one) => model.apply(one));
          for (let at = 0; at < possible.length; at += batch) {
            await store.apply(database, possible.slice(at, at + batch), { sourcePosition: at + 1 });
            if (at % 3 === 0) await crowd(database);
          }
          const keys = await walkAll(store);
          assert.deepEqual(keys, model.keys());
          for (const [at, after] of keys.entries()) assert.deepEqual(await walkAll(store, { after }), keys.slice(at + 1), after);
          const folders = keys.filter((key) => key.endsWith('/'));
          assert.deepEqual(await walkAll(store, { onlyFolders: true }), folders);
          for (const key of ['', ...model.keys()]) {
            const node = await store.find(key.replace(/\/$/, ''));
            assert.deepEqual(node && [node.files, node.sizeBytes], model.sums(key), key);
          }
          await assertSound(database);
        }),
        { numRuns: options.runs },
      );
    });
  });
}

/** Puts all labels next to each other: the worst case of every insertion after it. */
async function crowd(database: Database): Promise<void> {
  const rows = await database.all<{ id: number; pos: number; last: number }>('select id, pos, last from folders order by pos');
  const ranks = new Map<number, number>();
  for (const [at, { id, last }] of rows.entries()) {
    ranks.set(id, rows.filter(({ pos }) => pos <= last).length - 1);
    await database.run('update folders set pos = $2 where id = $1', id, at);
  }
  for (const [id, last] of ranks) await database.run('update folders set last = $2 where id = $1', id, last);
}

async function assertSound(database: Database): Promise<void> {
  type Row = { id: number; parent: number; name: string; pos: number; last: number; files: number; bytes: number };
  const rows = await database.all<Row>(
    'select id, parent, name, pos, last, own_files as files, own_bytes as bytes from folders order by pos',
  );
  const byId = new Map(rows.map((row) => [row.id, row]));
  assert.equal(new Set(rows.map(({ pos }) => pos)).size, rows.length, 'labels are unique');
  for (const row of rows) {
    assert.ok(row.pos <= row.last);
    const parent = byId.get(row.parent);
    if (row.parent !== 0) assert.ok(parent && parent.pos < row.pos && parent.last >= row.last, `${row.name} lies in its parent`);
    const sum = await database.get<{ files: number; bytes: number }>(
      'select count(*) as files, coalesce(sum(size), 0) as bytes from files where folder = $1',
      row.id,
    );
    assert.deepEqual(sum, { files: row.files, bytes: row.bytes });
  }
  for (const [at, row] of rows.entries()) {
    const next = rows.slice(at + 1).find(({ pos }) => pos > row.last);
    const previous = rows.slice(0, at).filter(({ parent }) => parent === row.parent);
    assert.ok(!next || next.pos > row.last);
    for (const sibling of previous)
      assert.ok(compareUtf8(sibling.name, row.name) < 0 && sibling.last < row.pos, 'siblings are in order');
  }
}

async function walkAll(store: TreeStore, options?: WalkOptions): Promise<string[]> {
  const root = (await store.find('')) as StoredNode;
  const keys: string[] = [];
  for await (const { nodes } of store.walk(root, options))
    keys.push(...nodes.map(({ path, isFolder }) => (isFolder ? `${path}/` : path)));
  return keys;
}

async function pages(store: TreeStore, root: StoredNode, order: ListOrder, isDescending: boolean, limit: number) {
  const listed: StoredNode[] = [];
  for (let after: ListPlace | undefined; ; ) {
    const page = await store.list(root, { order, isDescending, after, limit });
    listed.push(...page);
    const last = page.at(-1);
    if (!last || page.length < limit) return listed;
    after = placeOf(last, order);
  }
}

function byPlace(order: ListOrder, isDescending: boolean) {
  const sign = isDescending ? -1 : 1;
  return (a: StoredNode, b: StoredNode): number => {
    if (order === 'name' && a.isFolder !== b.isFolder) return a.isFolder ? -1 : 1;
    const [x, y] = [placeOf(a, order), placeOf(b, order)];
    return sign * (x.value - y.value || compareUtf8(x.name, y.name));
  };
}
