import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ObjectRow, ObjectStore, VersionRow } from './store.ts';

const row = (key: string, stamp = 's1', more: Partial<ObjectRow> = {}): ObjectRow => ({
  key,
  stamp,
  kind: 'object',
  etag: 'e',
  headers: {},
  checksums: {},
  ...more,
});

const version = (key: string, versionId: string, more: Partial<VersionRow> = {}): Omit<VersionRow, 'order'> => ({
  ...{ key, versionId, isDeleteMarker: false, sizeBytes: 1, mtimeMs: 2, etag: 'e', headers: {}, checksums: {} },
  ...more,
});

/** What holds for every implementation; `open` gives an empty one. */
export function objectStoreSuite(name: string, open: (t: TestContext) => Promise<ObjectStore>): void {
  const keysOf = async (store: ObjectStore, keys: readonly string[], bucket = 'b'): Promise<string[]> =>
    (await store.findMany(bucket, keys)).map(({ key, stamp }) => `${key} ${stamp}`).sort();
  const put = (store: ObjectStore, bucket: string, ...rows: readonly ObjectRow[]): Promise<void> =>
    store.write(
      bucket,
      rows.map((one) => ({ kind: 'put', row: one })),
    );

  test(`${name}: a row comes back as it was put, and only for its state and bucket`, async (t) => {
    const store = await open(t);
    const full = row('a/ü 😀', 's', {
      headers: { contentType: 'x/y', userMetadata: { q: '"\\\0' } },
      checksums: { crc32: 'AA==' },
      versionId: 'v',
      tags: { a: 'b' },
      retention: { mode: 'COMPLIANCE', untilMs: 5 },
      parts: [{ partNumber: 1, sizeBytes: 7 }],
    });
    await put(store, 'b', full);
    assert.deepEqual(await store.find('b', 'a/ü 😀', 's'), full);
    assert.equal(await store.find('b', 'a/ü 😀', 'other'), undefined);
    assert.equal(await store.find('c', 'a/ü 😀', 's'), undefined);
    await put(store, 'b', { ...full, kind: 'marker', etag: 'f' });
    assert.deepEqual(await store.find('b', 'a/ü 😀', 's'), { ...full, kind: 'marker', etag: 'f' });
  });

  test(`${name}: states of one key stand beside each other until they are pruned`, async (t) => {
    const store = await open(t);
    await put(store, 'b', row('k', 's1'), row('k', 's2'), row('k', 's3'), row('other'));
    await store.write('b', [{ kind: 'prune', key: 'k', stamp: 's2' }]);
    assert.deepEqual(await keysOf(store, ['k', 'other', 'none']), ['k s2', 'other s1']);
    await store.write('b', [{ kind: 'remove_state', key: 'k', stamp: 's1' }]);
    assert.deepEqual(await keysOf(store, ['k']), ['k s2']);
    for (let time = 0; time < 2; time++) await store.write('b', [{ kind: 'remove', key: 'k' }]);
    assert.deepEqual(await keysOf(store, ['k', 'other']), ['other s1']);
  });

  test(`${name}: whether a bucket has rows`, async (t) => {
    const store = await open(t);
    await put(store, 'b', row('k'));
    assert.deepEqual([await store.hasRows('b'), await store.hasRows('c')], [true, false]);
    await store.write('b', [{ kind: 'remove', key: 'k' }]);
    assert.equal(await store.hasRows('b'), false);
  });

  test(`${name}: many keys at once`, async (t) => {
    const store = await open(t);
    const keys = Array.from({ length: 1_203 }, (_, index) => `k${index}`);
    await put(store, 'b', ...keys.slice(0, 20).map((key) => row(key)));
    assert.equal((await store.findMany('b', keys)).length, 20);
    assert.deepEqual(await store.findMany('b', []), []);
  });

  test(`${name}: keys are in the order of their bytes, whatever is in them`, async (t) => {
    const store = await open(t);
    const keys = ['\0', '\0a', '\x01', '\x01\0', 'A', 'a', 'a\0', 'a\x01', 'a/', 'a/b', 'aa', 'ä', '\uffff', '😀'];
    await put(store, 'b', ...keys.toReversed().map((key) => row(key, 's', { kind: 'hard' })));
    const found = async (prefix: string, after: string, limit = 100) =>
      (await store.hardKeys('b', prefix, after, limit)).map(({ key }) => key);
    assert.deepEqual(await found('', ''), keys);
    assert.deepEqual(await found('a', ''), ['a', 'a\0', 'a\x01', 'a/', 'a/b', 'aa']);
    assert.deepEqual(await found('a', 'a\x01', 2), ['a/', 'a/b']);
    assert.deepEqual(
      (await store.range('b', 'a\0', 'aa', 100)).map(({ key }) => key),
      ['a\0', 'a\x01', 'a/', 'a/b', 'aa'],
    );
    const all: string[] = [];
    for (let last = { key: '', stamp: '' }; ; last = (await store.after('b', last.key, last.stamp, 3)).at(-1)!) {
      const page = await store.after('b', last.key, last.stamp, 3);
      all.push(...page.map(({ key }) => key));
      if (page.length < 3) break;
    }
    assert.deepEqual(all, keys);
  });

  test(`${name}: trees are removed and copied without their neighbours and without hard keys`, async (t) => {
    const store = await open(t);
    const keys = ['t', 't/', 't/a', 't/ü/b', 't.x', 't0', 'to/old', 'T/a'];
    await put(store, 'b', ...keys.map((key) => row(key)), row('t//h', 's1', { kind: 'hard' }));
    await put(store, 'c', row('t/a'));
    await store.write('b', [
      { kind: 'copy_tree', from: 't/', to: 'to/' },
      { kind: 'remove_tree', prefix: 't/' },
    ]);
    assert.deepEqual(await keysOf(store, [...keys, 't//h', 'to/', 'to/a', 'to/ü/b']), [
      'T/a s1',
      't s1',
      't.x s1',
      't//h s1',
      't0 s1',
      'to/ s1',
      'to/a s1',
      'to/ü/b s1',
    ]);
    await store.write('b', [
      { kind: 'remove_tree', prefix: 'to/' },
      { kind: 'remove', key: 't' },
    ]);
    assert.deepEqual(await keysOf(store, [...keys, 'to/a']), ['T/a s1', 't.x s1', 't0 s1']);
    assert.deepEqual(await keysOf(store, ['t/a'], 'c'), ['t/a s1']);
  });

  test(`${name}: versions come by key, the newest first, from any place on`, async (t) => {
    const store = await open(t);
    for (const [key, versionId] of ['a 1', 'a 2', 'b 1', 'a 3', 'c 1'].map((text) => text.split(' ')) as [string, string][]) {
      await store.write('b', [{ kind: 'put_version', row: version(key, versionId, { tags: { key } }) }]);
    }
    const ids = async (...args: Parameters<ObjectStore['versions']> extends [string, ...infer R] ? R : never) =>
      (await store.versions('b', ...args)).map(({ key, versionId }) => key + versionId);
    assert.deepEqual(await ids('', { key: '' }, 10), ['a3', 'a2', 'a1', 'b1', 'c1']);
    const [, second] = await store.versionsOf('b', 'a');
    assert.deepEqual(second, { ...version('a', '2', { tags: { key: 'a' } }), order: 2 });
    assert.deepEqual(await ids('', { key: 'a', order: 2 }, 2), ['a1', 'b1']);
    assert.deepEqual(await ids('b', { key: 'a', order: 9 }, 9), ['b1']);
    assert.deepEqual(await ids('', { key: 'a' }, 10), ['b1', 'c1']);
    await store.write('b', [{ kind: 'put_version', row: version('a', '1', { isDeleteMarker: true }) }]);
    assert.deepEqual(await ids('a', { key: '' }, 10), ['a1', 'a3', 'a2']);
    assert.equal((await store.findVersion('b', 'a', '1'))?.isDeleteMarker, true);
    const third = await store.findVersion('b', 'a', '3');
    assert.ok(third);
    await store.write('b', [
      { kind: 'update_version', row: { ...third, hasLegalHold: true } },
      { kind: 'remove_version', key: 'a', versionId: '1' },
    ]);
    assert.deepEqual(await store.findVersion('b', 'a', '3'), { ...third, hasLegalHold: true });
    assert.deepEqual(await ids('a', { key: '' }, 10), ['a3', 'a2']);
    assert.deepEqual([await store.hasVersions('b'), await store.hasVersions('c')], [true, false]);
  });

  test(`${name}: a whole tree gets delete markers where there is none on top`, async (t) => {
    const store = await open(t);
    for (const key of ['t/a', 't/b', 't0']) await store.write('b', [{ kind: 'put_version', row: version(key, '1') }]);
    await store.write('b', [{ kind: 'put_version', row: version('t/b', 'm', { isDeleteMarker: true }) }]);
    await store.write('b', [
      { kind: 'mark', key: 't/a', versionId: 'x', mtimeMs: 7 },
      { kind: 'mark', key: 'none', versionId: 'x', mtimeMs: 7 },
    ]);
    await store.write('b', [{ kind: 'mark_tree', prefix: 't/', versionId: 'y', mtimeMs: 7 }]);
    assert.deepEqual(
      (await store.versions('b', '', { key: '' }, 10)).map(({ key, versionId, isDeleteMarker }) => [
        key + versionId,
        isDeleteMarker,
      ]),
      [
        ['t/ax', true],
        ['t/a1', false],
        ['t/bm', true],
        ['t/b1', false],
        ['t01', false],
      ],
    );
  });

  test(`${name}: buckets and intents are kept until they are removed`, async (t) => {
    const store = await open(t);
    const record = { bucket: 'b', createdMs: 5, settings: { owner: { id: 'ann', displayName: 'Ann' } } };
    await store.putBucket({ ...record, createdMs: 1 });
    await store.putBucket(record);
    await put(store, 'b', row('k'));
    await store.write('b', [{ kind: 'put_version', row: version('k', '1') }]);
    const intent = { key: 'k', stamp: 's', rest: [{ kind: 'remove' as const, key: 'k' }] };
    await store.write('b', [
      { kind: 'begin', intent },
      { kind: 'begin', intent: { key: 'l', stamp: '', rest: [] } },
    ]);
    await store.write('b', [{ kind: 'end', key: 'l' }]);
    assert.deepEqual(await store.intents(), [{ bucket: 'b', ...intent }]);
    assert.deepEqual(await store.buckets(), [record]);
    await store.removeBucket('b');
    assert.deepEqual(
      [await store.intents(), await store.buckets(), await store.hasRows('b'), await store.hasVersions('b')],
      [[], [], false, false],
    );
  });
}
