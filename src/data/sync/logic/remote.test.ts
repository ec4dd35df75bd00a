import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Objects } from '#gen/cellar/data/v1/objects_pb.ts';
import type { Client } from '#kernel/calls/client.ts';
import { unavailable } from '#kernel/fault.ts';
import { compareUtf8 } from '#lib/utf8-order.ts';
import { startKeeper } from '../testing/keeper.ts';
import { Remote } from './remote.ts';

/** A bucket in memory that lists like the objects service, two keys at a time. */
function fakeBucket() {
  const bucket = new Map<string, string>();
  const state = { isAway: false };
  const listObjects = async function* ({ prefix = '' }: { prefix?: string }) {
    if (state.isAway) throw unavailable('The server does not answer');
    const keys = [...bucket.keys()].filter((key) => key.startsWith(prefix)).sort(compareUtf8);
    for (let at = 0; at < keys.length; at += 2)
      yield {
        objects: keys.slice(at, at + 2).map((key) => {
          const content = bucket.get(key) ?? '';
          return { key, sizeBytes: BigInt(content.length), modifyTimeNs: 1_700_000_000_000_000_000n, etag: `etag of ${content}` };
        }),
      };
  };
  return { bucket, state, objects: { listObjects } as unknown as Client<typeof Objects> };
}

test('a bucket elsewhere is in the index as the tree that its keys make', async (t) => {
  const { bucket, state, objects } = fakeBucket();
  const storage = new Remote({ objects, bucket: 'docs' });
  const { pass, paths, keeper, data } = await startKeeper(t, { storage, askAboveDeletes: 2 });
  for (const key of ['a/b/c', 'a/d', 'e', 'e/f', 'marker/', '../up', 'same']) bucket.set(key, '1');
  const first = await pass();
  assert.deepEqual([first.created, Object.fromEntries(first.skipped)], [8, { 'no-path': 2 }]);
  assert.deepEqual(await paths(), ['a/', 'a/b/', 'a/b/c', 'a/d', 'e/', 'e/f', 'marker/', 'same']);
  assert.equal((await data.index().getNode({ path: 'same' })).etag, 'etag of 1');
  assert.deepEqual((await pass()).changes, []);

  // The same size and time, as of servers that keep whole seconds.
  bucket.set('same', '2');
  bucket.set('a/new', '1');
  bucket.delete('e/f');
  assert.deepEqual(
    (await pass()).changes.map(({ kind, path }) => `${kind} ${path}`),
    ['create a/new', 'create e', 'update same', 'delete e'],
  );
  assert.deepEqual(await paths(), ['a/', 'a/b/', 'a/b/c', 'a/d', 'a/new', 'e', 'marker/', 'same']);
  bucket.delete('a/b/c');
  bucket.set('deep/er/x', '1');
  await keeper.examine({ paths: ['a/b/c', 'deep/er/x'], isTrusted: true });
  assert.deepEqual(await paths(), ['a/', 'a/d', 'a/new', 'deep/', 'deep/er/', 'deep/er/x', 'e', 'marker/', 'same']);
  bucket.set('a/one', '1');
  bucket.set('elsewhere', '1');
  assert.deepEqual(
    (await pass({ path: 'a' })).changes.map(({ path }) => path),
    ['a/one'],
  );

  state.isAway = true;
  await assert.rejects(pass(), { code: 'unavailable' });
  state.isAway = false;
  bucket.clear();
  await assert.rejects(pass(), { reason: 'folder_empty' });
  assert.equal((await paths()).length, 10);
  await pass({ isConfirmed: true });
  assert.deepEqual(await paths(), []);
});
