import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { migrate } from '#kernel/database/migrations.ts';
import { failedPrecondition } from '#kernel/fault.ts';
import { sqliteFactory } from '#kernel/testing/databases.ts';
import type { ObjectInfo } from '#s3/backend.ts';
import type { Change } from './logic/change.ts';
import { createFolderBackend, type FolderBackend } from './logic/folder-backend.ts';
import { migrations } from './store/migrations.ts';
import { createSqlObjectStore } from './store/sql.ts';
import { textBody } from './testing/commands.ts';

const writers = Array.from({ length: 64 }, (_, at) => `written by ${at}`);
const object = { bucket: 'bucket', key: 'folder/key' };
/** A key that cannot be a file, since its parent is one. */
const hardObject = { bucket: 'bucket', key: 'file/key' };

async function start(t: TestContext): Promise<{ readonly backend: FolderBackend; readonly changes: Change[] }> {
  const parent = realpathSync(mkdtempSync(join(tmpdir(), 'cellar-writers-')));
  t.after(() => rmSync(parent, { recursive: true, force: true }));
  mkdirSync(join(parent, 'bucket'));
  const database = await sqliteFactory.open(t);
  await migrate(database, migrations);
  const changes: Change[] = [];
  const backend = createFolderBackend({
    parent,
    folders: [{ bucket: 'bucket', folder: 'bucket' }],
    store: createSqlObjectStore(database),
    record: async (change) => void changes.push(change),
  });
  await backend.put({ bucket: 'bucket', key: 'file' }, textBody('in the way'), {});
  changes.length = 0;
  return { backend, changes };
}

async function read(backend: FolderBackend, at: typeof object & { versionId?: string }): Promise<string> {
  const { body } = await backend.get(at, () => undefined);
  return Buffer.from(body as Uint8Array).toString();
}

for (const at of [object, hardObject]) {
  const condition = (current: ObjectInfo | undefined): void => {
    if (current) throw failedPrecondition('there already');
  };

  test(`of 64 who write ${at.key} if there is none, one does`, async (t) => {
    const { backend, changes } = await start(t);
    const done = await Promise.allSettled(writers.map((text) => backend.put(at, textBody(text), { condition })));
    const won = writers.filter((_, index) => done[index]?.status === 'fulfilled');
    assert.equal(won.length, 1);
    assert.equal(await read(backend, at), won[0]);
    assert.deepEqual(
      changes.map(({ kind }) => kind),
      ['put'],
    );
  });

  test(`of 64 who write ${at.key}, the last to commit stays`, async (t) => {
    const { backend, changes } = await start(t);
    const done = await Promise.all(writers.map((text) => backend.put(at, textBody(text), {})));
    const { etag } = await backend.head(at);
    const found = await read(backend, at);
    assert.ok(writers.includes(found));
    assert.equal(etag, done[writers.indexOf(found)]?.etag);
    assert.deepEqual(
      changes.map(({ kind }) => kind),
      writers.map(() => 'put'),
    );
    assert.equal(changes.at(-1)?.etag, etag);
  });

  test(`of 64 who write ${at.key} in a versioned bucket, all are kept`, async (t) => {
    const { backend } = await start(t);
    await backend.changeBucketSettings('bucket', (settings) => ({ ...settings, versioning: 'Enabled' }));
    const done = await Promise.all(writers.map((text) => backend.put(at, textBody(text), {})));
    const { versions } = await backend.listVersions('bucket', { prefix: at.key, delimiter: '', after: '', limit: 1000 });
    assert.equal(new Set(versions.map(({ versionId }) => versionId)).size, 64);
    assert.deepEqual(
      versions.map(({ isLatest }) => isLatest),
      versions.map((_, index) => index === 0),
    );
    const texts = await Promise.all(done.map(({ versionId }) => read(backend, { ...at, ...(versionId ? { versionId } : {}) })));
    assert.deepEqual(texts, writers);
    assert.equal(await read(backend, at), texts[done.findIndex(({ versionId }) => versionId === versions[0]?.versionId)]);
  });
}
