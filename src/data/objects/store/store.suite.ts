import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ObjectRow, ObjectStore } from './store.ts';

const row = (key: string, stamp = 's1', more: Partial<ObjectRow> = {}): ObjectRow => ({
  key,
  stamp,
  kind: 'object',
  etag: 'e',
  headers: {},
  checksums: {},
  ...more,
});

/** What holds for every implementation; `open` gives an empty one. */
export function objectStoreSuite(name: string, open: (t: TestContext) => Promise<ObjectStore>): void {
  const keysOf = async (store: ObjectStore, keys: readonly string[], bucket = 'b'): Promise<string[]> =>
    (await store.findMany(bucket, keys)).map(({ key, stamp }) => `${key} ${stamp}`).sort();

  test(`${name}: a row comes back as it was put, and only for its state and bucket`, async (t) => {
    const store = await open(t);
    const full = row('a/ü 😀', 's', {
      headers: { contentType: 'x/y', userMetadata: { q: '"\\' } },
      checksums: { crc32: 'AA==' },
    });
    await store.put('b', full);
    assert.deepEqual(await store.find('b', 'a/ü 😀', 's'), full);
    assert.equal(await store.find('b', 'a/ü 😀', 'other'), undefined);
    assert.equal(await store.find('c', 'a/ü 😀', 's'), undefined);
    await store.put('b', { ...full, kind: 'marker', etag: 'f' });
    assert.deepEqual(await store.find('b', 'a/ü 😀', 's'), { ...full, kind: 'marker', etag: 'f' });
  });

  test(`${name}: states of one key stand beside each other until they are pruned`, async (t) => {
    const store = await open(t);
    for (const stamp of ['s1', 's2', 's3']) await store.put('b', row('k', stamp));
    await store.put('b', row('other'));
    await store.prune('b', 'k', 's2');
    assert.deepEqual(await keysOf(store, ['k', 'other', 'none']), ['k s2', 'other s1']);
    await store.remove('b', 'k');
    await store.remove('b', 'k');
    assert.deepEqual(await keysOf(store, ['k', 'other']), ['other s1']);
  });

  test(`${name}: whether a bucket has rows`, async (t) => {
    const store = await open(t);
    await store.put('b', row('k'));
    assert.deepEqual([await store.hasRows('b'), await store.hasRows('c')], [true, false]);
    await store.remove('b', 'k');
    assert.equal(await store.hasRows('b'), false);
  });

  test(`${name}: many keys at once`, async (t) => {
    const store = await open(t);
    const keys = Array.from({ length: 1_203 }, (_, index) => `k${index}`);
    for (const key of keys.slice(0, 20)) await store.put('b', row(key));
    assert.equal((await store.findMany('b', keys)).length, 20);
    assert.deepEqual(await store.findMany('b', []), []);
  });

  test(`${name}: trees are removed and moved without their neighbours`, async (t) => {
    const store = await open(t);
    const keys = ['t', 't/', 't/a', 't/ü/b', 't.x', 't0', 'to/old', 'T/a'];
    for (const key of keys) await store.put('b', row(key));
    await store.put('c', row('t/a'));
    await store.moveTree('b', 't/', 'to/');
    assert.deepEqual(await keysOf(store, [...keys, 'to/', 'to/a', 'to/ü/b']), [
      'T/a s1',
      't s1',
      't.x s1',
      't0 s1',
      'to/ s1',
      'to/a s1',
      'to/ü/b s1',
    ]);
    await store.removeTree('b', 'to/');
    await store.move('b', 't', 't0');
    assert.deepEqual(await keysOf(store, [...keys, 'to/a']), ['T/a s1', 't.x s1', 't0 s1']);
    assert.deepEqual(await keysOf(store, ['t/a'], 'c'), ['t/a s1']);
  });
}
