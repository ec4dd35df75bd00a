import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runFaulty } from '#data/objects/testing/faulty-fs.ts';
import type { LocalBackend } from './logic/folder-backend.ts';
import { startBackend, textBody } from './testing/start-backend.ts';

/* The verbs of a tree and of buckets, killed before every call they make to the file system and the store. */

const owner = { id: 'ann', displayName: 'Ann' };
const put = (backend: LocalBackend, key: string, text = key, bucket = 'bucket') =>
  backend.put({ bucket, key }, textBody(text), { headers: { userMetadata: { key } }, tags: { text } });
const enable = (backend: LocalBackend) =>
  backend.changeBucketSettings('bucket', (settings) => ({ ...settings, versioning: 'Enabled' }));

interface Scenario {
  readonly prepare: (backend: LocalBackend) => Promise<unknown>;
  readonly act: (backend: LocalBackend) => Promise<unknown>;
}

const scenarios: Readonly<Record<string, Scenario>> = {
  mkdir: { prepare: async () => undefined, act: (backend) => backend.mkdir('bucket', 'a/b') },
  'move of a file': { prepare: (backend) => put(backend, 'a/b'), act: (backend) => backend.move('bucket', 'a/b', 'c/d/e') },
  'move of a file over another': {
    async prepare(backend) {
      await put(backend, 'a/b');
      await put(backend, 'c', 'old');
    },
    act: (backend) => backend.move('bucket', 'a/b', 'c', { replace: true }),
  },
  'move of a folder': {
    async prepare(backend) {
      for (const key of ['a/b', 'a/c/d', 'a0']) await put(backend, key);
      await backend.mkdir('bucket', 'a/empty');
    },
    act: (backend) => backend.move('bucket', 'a', 'x/y'),
  },
  'versioned: move of a file over another': {
    async prepare(backend) {
      await enable(backend);
      for (const text of ['1', '2']) for (const key of ['a/b', 'c']) await put(backend, key, text + key);
    },
    act: (backend) => backend.move('bucket', 'a/b', 'c', { replace: true }),
  },
  'versioned: move of a folder': {
    async prepare(backend) {
      await enable(backend);
      for (const text of ['1', '2']) for (const key of ['a/b', 'a/c/d']) await put(backend, key, text + key);
    },
    act: (backend) => backend.move('bucket', 'a', 'x/y'),
  },
  'removal of an empty folder': {
    prepare: (backend) => backend.mkdir('bucket', 'a/b'),
    act: (backend) => backend.removeFolder('bucket', 'a/b'),
  },
  'removal of a folder with all in it': {
    async prepare(backend) {
      for (const key of ['a/b', 'a/c/d', 'a0']) await put(backend, key);
    },
    act: (backend) => backend.removeFolder('bucket', 'a', { recursive: true }),
  },
  'a bucket is made': { prepare: async () => undefined, act: (backend) => backend.createBucket('made', { owner }) },
  'a bucket is deleted': {
    async prepare(backend) {
      await backend.createBucket('made', { owner, versioning: 'Enabled' });
      await put(backend, 'a/b', 'x', 'made');
      const { versionId } = await backend.head({ bucket: 'made', key: 'a/b' });
      await backend.delete({ bucket: 'made', key: 'a/b', versionId });
    },
    act: (backend) => backend.deleteBucket('made'),
  },
};

/** Everything there is to see. */
async function seen(backend: LocalBackend, parent: string): Promise<unknown> {
  const all = { prefix: '', delimiter: '', after: '', limit: 100 };
  const buckets = await backend.listBuckets();
  const contents = buckets.map(async ({ name, owner: { id } }) => {
    const versions = (await backend.listVersions(name, all)).versions.map(({ key, isLatest, isDeleteMarker, etag, sizeBytes }) =>
      [key, isLatest, isDeleteMarker, etag, sizeBytes].join(' '),
    );
    const { objects } = await backend.list(name, all);
    const infos = await Promise.all(objects.map(({ key }) => backend.head({ bucket: name, key })));
    const kept = infos.map(({ key, headers, tags, etag }) => ({ key, headers, tags, etag }));
    return { name, id, versions, kept, settings: await backend.bucketSettings(name) };
  });
  const files = (readdirSync(parent, { recursive: true }) as string[]).filter((path) => !/(^|\/)\.cellar(\/|$)/.test(path));
  return { buckets: await Promise.all(contents), files: files.sort() };
}

for (const [name, { prepare, act }] of Object.entries(scenarios)) {
  test(`${name}, killed at every call: before or after it, and nothing is left`, async (t) => {
    const whole = await startBackend(t);
    await prepare(whole.backend);
    const before = await seen(whole.backend, whole.parent);
    await act(whole.backend);
    const after = await seen(whole.backend, whole.parent);
    for (let at = 0, isStruck = true; isStruck; at++) {
      const { backend, parent, folder, store, again } = await startBackend(t);
      await prepare(backend);
      const run = await runFaulty({ kind: 'crash', at }, () => act(backend));
      isStruck = run.isStruck;
      const restarted = await again();
      // A folder made on the way is no object; it goes when what was left is collected.
      await restarted.collect({ graceMs: 0, pauseMs: 0, signal: AbortSignal.timeout(10_000) });
      const now = await seen(restarted, parent);
      const isDone = run.result.status === 'fulfilled' || JSON.stringify(now) !== JSON.stringify(before);
      assert.deepEqual(now, isDone ? after : before, `killed at call ${at}`);
      assert.deepEqual(await store.intents(), []);
      assert.deepEqual(temporaryFiles(folder), []);
    }
  });
}

function temporaryFiles(folder: string): readonly string[] {
  const own = readdirSync(folder, { recursive: true }) as string[];
  return own.filter((path) => /^\.cellar\/(?:tmp\/|versions\/.*tmp-)/.test(path)).map((path) => join(folder, path));
}
