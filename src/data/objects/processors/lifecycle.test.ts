import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '#kernel/log.ts';
import { acting } from '#s3/actor.ts';
import type { LifecycleRule } from '#s3/bucket-settings.ts';
import { realDayMs as day } from '#s3/lifecycle-expiration.ts';
import { storedBody } from '#s3/stored-body.ts';
import { startTestS3 } from '#s3/testing/server.ts';
import type { LocalBackend } from '../logic/folder-backend.ts';
import { lifecyclePass } from './lifecycle.ts';

const { signal } = new AbortController();
const bucket = 'photos';

async function start(t: Parameters<typeof startTestS3>[0], versioning?: 'Enabled') {
  const { backend } = await startTestS3(t, { partSizeBytesMin: 1 });
  const put = (key: string, tags: Readonly<Record<string, string>> = {}) => {
    const info = { key, sizeBytes: key.length, mtimeMs: 0, etag: '', headers: {}, checksums: {} };
    return backend.put({ bucket, key }, storedBody({ info, range: undefined, body: Buffer.from(key) }), { tags });
  };
  const setRules = (...rules: Partial<LifecycleRule>[]) =>
    backend.changeBucketSettings(bucket, (settings) => ({
      ...settings,
      ...(versioning ? { versioning } : {}),
      lifecycle: rules.map((rule, index) => ({ id: `r${index}`, isEnabled: true, filter: {}, ...rule })),
    }));
  const actors: (string | undefined)[] = [];
  const watched: Pick<LocalBackend, 'listVersions' | 'head' | 'delete' | 'listUploads' | 'abortUpload'> = {
    ...backend,
    delete: (...args) => {
      actors.push(acting.getStore()?.operation);
      return backend.delete(...args);
    },
  };
  const pass = (afterDays: number, change: Partial<typeof watched> = {}) =>
    lifecyclePass(
      {
        backend: { ...watched, ...change },
        allSettings: async () => new Map([[bucket, await backend.bucketSettings(bucket)]]),
        dayMs: () => day,
        log: silentLog,
        now: () => Date.now() + afterDays * day,
      },
      signal,
    );
  const versions = async () =>
    (await backend.listVersions(bucket, { prefix: '', delimiter: '', after: '', limit: 1000 })).versions.map(
      ({ key, isDeleteMarker, isLatest }) => `${key}${isDeleteMarker ? ' marker' : ''}${isLatest ? '' : ' old'}`,
    );
  return { backend, put, setRules, pass, versions, actors };
}

test('objects expire by their rules, and only those', async (t) => {
  const { put, setRules, pass, versions, actors } = await start(t);
  for (const key of ['log/1', 'log/2/3', 'keep', 'tmp/x']) await put(key);
  await put('tagged', { gone: 'soon' });
  await setRules(
    { expireAfterDays: 2, filter: { prefix: 'log/' } },
    { expireAfterDays: 1, filter: { tags: { gone: 'soon' } } },
    { expireAfterDays: 1, filter: { prefix: 'tmp/' }, isEnabled: false },
  );
  assert.equal((await pass(0)).expired, 0);
  assert.deepEqual(await pass(2), { seen: 5, expired: 1, deleted: 0, abortedUploads: 0, failed: 0 });
  assert.equal((await pass(4)).expired, 2);
  assert.equal((await pass(40)).expired, 0);
  assert.deepEqual(await versions(), ['keep', 'tmp/x']);
  assert.deepEqual([...new Set(actors)], ['LifecycleExpiration']);
});

test('versions, delete markers and what is kept of them', async (t) => {
  const { backend, put, setRules, pass, versions } = await start(t, 'Enabled');
  await setRules({ expireAfterDays: 1, noncurrentExpireAfterDays: 1, noncurrentVersionsKept: 1, expiresDeleteMarkers: true });
  for (const key of ['a', 'a', 'a', 'b']) await put(key);
  assert.deepEqual(await pass(3), { seen: 4, expired: 2, deleted: 1, abortedUploads: 0, failed: 0 });
  assert.deepEqual(await versions(), ['a marker', 'a old', 'a old', 'b marker', 'b old']);
  await setRules({ noncurrentExpireAfterDays: 1, expiresDeleteMarkers: true });
  assert.equal((await pass(9)).deleted, 3);
  assert.equal((await pass(9)).deleted, 2);
  assert.deepEqual(await versions(), []);
  await backend.changeBucketSettings(bucket, (settings) => settings);
});

test('what was written anew, or locked, since it was listed stays', async (t) => {
  const { backend, put, setRules, pass, versions } = await start(t, 'Enabled');
  await setRules({ expireAfterDays: 1, noncurrentExpireAfterDays: 1 });
  for (const key of ['a', 'b', 'b']) await put(key);
  const [old] = (await backend.listVersions(bucket, { prefix: 'b', delimiter: '', after: '', limit: 9 })).versions.slice(1);
  const listVersions: LocalBackend['listVersions'] = async (...args) => {
    const page = await backend.listVersions(...args);
    await put('a');
    await backend.update({ bucket, key: 'b', versionId: old?.versionId }, () => ({ hasLegalHold: true }));
    return page;
  };
  const report = await pass(3, { listVersions });
  assert.deepEqual(report, { seen: 3, expired: 1, deleted: 0, abortedUploads: 0, failed: 0 });
  assert.deepEqual(await versions(), ['a', 'a old', 'b marker', 'b old', 'b old']);
});

test('uploads are given up by rule, and when nobody goes on with them', async (t) => {
  const { backend, setRules, pass } = await start(t);
  for (const key of ['a/1', 'b']) await backend.createUpload({ bucket, key }, {});
  await setRules({ abortUploadsAfterDays: 1, filter: { prefix: 'a/' } });
  assert.equal((await pass(3)).abortedUploads, 1);
  const keys = async () => (await backend.listUploads(bucket)).map(({ key }) => key);
  assert.deepEqual(await keys(), ['b']);
  assert.equal(await backend.expireUploads({ staleMs: day, completedMs: day, signal }), 0);
  assert.equal(await backend.expireUploads({ staleMs: 0, completedMs: day, signal }), 1);
  assert.deepEqual(await keys(), []);
});

test('what fails for one object is tried again, and holds up no other', async (t) => {
  const { backend, put, setRules, pass, versions } = await start(t);
  for (const key of ['a', 'b', 'c']) await put(key);
  await setRules({ expireAfterDays: 1 });
  const failing: LocalBackend['delete'] = async (object, options) => {
    if (object.key === 'b') throw new Error('the disk says no');
    return await backend.delete(object, options);
  };
  assert.deepEqual(await pass(3, { delete: failing }), { seen: 3, expired: 2, deleted: 0, abortedUploads: 0, failed: 1 });
  assert.deepEqual(await versions(), ['b']);
  assert.equal((await pass(3)).expired, 1);
});
