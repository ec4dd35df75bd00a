import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Fault } from '#kernel/fault.ts';
import { startBackend, textBody } from './testing/start-backend.ts';

const faultWith = (reason: string) => (error: unknown) => error instanceof Fault && error.reason === reason;
const ann = { id: 'ann', displayName: 'Ann' };
const namesOf = (buckets: readonly { readonly name: string }[]) => buckets.map(({ name }) => name);

test('buckets are made as folders, with owner and settings, and deleted when they are empty', async (t) => {
  const { backend, again, parent, changes } = await startBackend(t);
  await backend.createBucket('made', { owner: ann, tags: { a: 'b' } });
  assert.deepEqual(readdirSync(join(parent, 'made')), []);
  assert.deepEqual((await backend.headBucket('made')).owner, ann);
  await assert.rejects(backend.createBucket('made', { owner: ann }), faultWith('bucket_exists'));
  await assert.rejects(backend.createBucket('bucket', { owner: ann }), faultWith('bucket_exists'));
  await assert.rejects(backend.createBucket('Made', { owner: ann }), faultWith('invalid_bucket_name'));
  await backend.changeBucketSettings('made', (settings) => ({ ...settings, versioning: 'Enabled' }));
  assert.deepEqual(await (await again()).bucketSettings('made'), { owner: ann, tags: { a: 'b' }, versioning: 'Enabled' });
  writeFileSync(join(parent, 'made/file'), 'x');
  await assert.rejects(backend.deleteBucket('made'), faultWith('bucket_not_empty'));
  await backend.delete({ bucket: 'made', key: 'file' });
  await assert.rejects(backend.deleteBucket('made'), faultWith('bucket_not_empty'));
  const { versions } = await backend.listVersions('made', { prefix: '', delimiter: '', after: '', limit: 9 });
  for (const { key, versionId } of versions) await backend.delete({ bucket: 'made', key, versionId });
  await backend.put({ bucket: 'made', key: '..' }, textBody('x'), {});
  await assert.rejects(backend.deleteBucket('made'), faultWith('bucket_not_empty'));
  const { versionId } = await backend.head({ bucket: 'made', key: '..' });
  await backend.delete({ bucket: 'made', key: '..', versionId });
  await backend.deleteBucket('made');
  assert.equal(existsSync(join(parent, 'made')), false);
  await assert.rejects(backend.headBucket('made'), faultWith('no_such_bucket'));
  await assert.rejects(backend.put({ bucket: 'made', key: 'a' }, textBody('x'), {}), faultWith('no_such_bucket'));
  const about = changes.filter(({ key }) => key === '').map(({ bucket, kind }) => `${kind} ${bucket}`);
  assert.deepEqual(about, ['mkdir made', 'delete made']);
});

test('every folder with the name of a bucket is one; links and other names are none', async (t) => {
  const { backend, parent } = await startBackend(t);
  for (const name of ['other', 'No', 'x']) mkdirSync(join(parent, name));
  symlinkSync(join(parent, 'other'), join(parent, 'link'));
  assert.deepEqual(namesOf(await backend.listBuckets()), ['bucket', 'other']);
  for (const name of ['link', 'No', 'x', '..', '.cellar'])
    await assert.rejects(backend.headBucket(name), faultWith('no_such_bucket'));
  assert.equal((await backend.headBucket('other')).owner.id, 'cellar');
});

test('declared buckets are neither made nor deleted', async (t) => {
  const { backend } = await startBackend(t, { hasMore: false });
  await assert.rejects(backend.createBucket('made', { owner: ann }), faultWith('buckets_declared'));
  await assert.rejects(backend.deleteBucket('bucket'), faultWith('buckets_declared'));
});

test('a disk that is away takes no bucket with it', async (t) => {
  const { backend, parent } = await startBackend(t);
  await backend.createBucket('made', { owner: ann });
  renameSync(parent, `${parent}-away`);
  t.after(() => rmSync(`${parent}-away`, { recursive: true, force: true }));
  await assert.rejects(backend.createBucket('more', { owner: ann }), faultWith('folder_missing'));
  await assert.rejects(backend.deleteBucket('made'), faultWith('folder_missing'));
  mkdirSync(parent);
  await assert.rejects(backend.deleteBucket('made'), faultWith('folder_missing'));
  rmSync(parent, { recursive: true });
  renameSync(`${parent}-away`, parent);
  assert.deepEqual((await backend.headBucket('made')).owner, ann);
});

test('many write while the bucket is deleted: what was acknowledged is there', async (t) => {
  const { backend } = await startBackend(t);
  for (let round = 0; round < 10; round++) {
    await backend.createBucket('made', { owner: ann });
    const writes = Array.from({ length: 5 }, (_, index) =>
      backend.put({ bucket: 'made', key: `k${index}` }, textBody('x'), {}).then(
        () => true,
        () => false,
      ),
    );
    const isDeleted = await backend.deleteBucket('made').then(
      () => true,
      () => false,
    );
    const written = (await Promise.all(writes)).filter(Boolean).length;
    if (isDeleted) assert.equal(written, 0);
    else {
      const { objects } = await backend.list('made', { prefix: '', delimiter: '', after: '', limit: 9 });
      assert.equal(objects.length, written);
      for (const { key } of objects) await backend.delete({ bucket: 'made', key });
      await backend.deleteBucket('made');
    }
  }
});

test('rows of files that are gone are collected, and hard keys whose rows were lost are found again', async (t) => {
  const { backend, again, folder, store } = await startBackend(t);
  const put = (key: string) => backend.put({ bucket: 'bucket', key }, textBody(key), { headers: { contentType: 'x/y' } });
  for (const key of ['a', 'b/c', 'd', '../hard']) await put(key);
  rmSync(join(folder, 'a'));
  rmSync(join(folder, 'b/c'));
  writeFileSync(join(folder, 'd'), 'changed');
  const signal = AbortSignal.timeout(10_000);
  await backend.collect({ graceMs: 60_000, pauseMs: 0, signal });
  assert.equal((await store.findMany('bucket', ['a', 'd', 'b/'])).length, 1);
  await backend.collect({ graceMs: 0, pauseMs: 0, signal });
  assert.deepEqual(await store.findMany('bucket', ['a', 'b/c', 'd']), []);
  assert.equal(existsSync(join(folder, 'b')), false);
  await store.write('bucket', [{ kind: 'clear' }]);
  const restarted = await again();
  await restarted.collect({ graceMs: 0, pauseMs: 0, signal });
  assert.equal((await restarted.head({ bucket: 'bucket', key: '../hard' })).sizeBytes, 7);
});

test('names that are not UTF-8 have keys: they are listed, read, written, moved and deleted', async (t) => {
  const { backend, folder } = await startBackend(t);
  const path = (...bytes: readonly number[]): Buffer => Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(bytes)]);
  mkdirSync(path(0xff));
  writeFileSync(path(0xff, 0x2f, 0xc3), 'odd');
  writeFileSync(join(folder, 'a\u241bFF'), 'a text');
  const keys = async () =>
    (await backend.list('bucket', { prefix: '', delimiter: '', after: '', limit: 9 })).objects.map(({ key }) => key);
  const read = async (key: string) => String((await backend.get({ bucket: 'bucket', key }, () => undefined)).body);
  const [odd, text] = ['\u241bFF/\u241bC3', 'a\u241bE2\u241b90\u241b9BFF'];
  assert.deepEqual(await keys(), [text, odd]);
  assert.deepEqual([await read(odd), await read(text)], ['odd', 'a text']);
  await backend.put({ bucket: 'bucket', key: odd }, textBody('new'), {});
  assert.equal(readFileSync(path(0xff, 0x2f, 0xc3), 'utf8'), 'new');
  await backend.move('bucket', odd, 'b/\u241bFE');
  assert.equal(readFileSync(path(0x62, 0x2f, 0xfe), 'utf8'), 'new');
  await backend.put({ bucket: 'bucket', key: '\u241bC3\u241bA9' }, textBody('no name'), {});
  assert.deepEqual(await keys(), [text, 'b/\u241bFE', '\u241bC3\u241bA9', '\u241bFF/'].sort());
  for (const key of await keys()) await backend.delete({ bucket: 'bucket', key });
  assert.deepEqual(readdirSync(folder), ['.cellar']);
});
