import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { migrate } from '#kernel/database/migrations.ts';
import { Fault } from '#kernel/fault.ts';
import { sqliteFactory } from '#kernel/testing/databases.ts';
import type { ObjectBody } from '#s3/backend.ts';
import { storedBody } from '#s3/stored-body.ts';
import { migrations } from '../store/migrations.ts';
import { createSqlObjectStore } from '../store/sql.ts';
import type { Change } from './change.ts';
import { createFolderBackend, type FolderBackend } from './folder-backend.ts';

interface Started {
  readonly backend: FolderBackend;
  /** As after a restart. */
  readonly again: () => FolderBackend;
  readonly folder: string;
  readonly changes: Change[];
}

async function start(t: TestContext, record?: (change: Change) => Promise<void>): Promise<Started> {
  const parent = realpathSync(mkdtempSync(join(tmpdir(), 'cellar-folder-')));
  t.after(() => rmSync(parent, { recursive: true, force: true }));
  mkdirSync(join(parent, 'b'));
  const database = await sqliteFactory.open(t);
  await migrate(database, migrations);
  const changes: Change[] = [];
  const again = (): FolderBackend =>
    createFolderBackend({
      parent,
      folders: [{ bucket: 'bucket', folder: 'b' }],
      store: createSqlObjectStore(database),
      record: record ?? (async (change) => void changes.push(change)),
    });
  return { backend: again(), again, folder: join(parent, 'b'), changes };
}

function body(text: string): ObjectBody {
  const info = { key: '', sizeBytes: Buffer.byteLength(text), mtimeMs: 0, etag: '', headers: {}, checksums: {} };
  return storedBody({ info, range: undefined, body: Buffer.from(text) });
}

const put = (backend: FolderBackend, key: string, text = key) => backend.put({ bucket: 'bucket', key }, body(text), {});
const faultWith = (reason: string) => (error: unknown) => error instanceof Fault && error.reason === reason;
const kinds = (changes: readonly Change[]): string[] =>
  changes.map(({ kind, key, fromKey }) => [kind, fromKey, key].filter(Boolean).join(' '));

test('mkdir, stat and folders that stay', async (t) => {
  const { backend, folder, changes } = await start(t);
  await backend.mkdir('bucket', 'a/b');
  await put(backend, 'a/b/c');
  await backend.delete({ bucket: 'bucket', key: 'a/b/c' });
  assert.ok(existsSync(join(folder, 'a/b')));
  assert.equal((await backend.stat('bucket', 'a')).kind, 'folder');
  assert.equal((await backend.stat('bucket', '')).kind, 'folder');
  await assert.rejects(backend.stat('bucket', 'none'), faultWith('no_such_key'));
  assert.deepEqual(kinds(changes), ['mkdir a/b/', 'put a/b/c', 'delete a/b/c']);
});

test('move keeps metadata, of files and of whole folders', async (t) => {
  const { backend, folder, changes } = await start(t);
  await backend.put({ bucket: 'bucket', key: 'x/y/file' }, body('hello'), { headers: { userMetadata: { a: 'b' } } });
  await backend.move('bucket', 'x/y/file', 'x/z/renamed');
  assert.equal((await backend.head({ bucket: 'bucket', key: 'x/z/renamed' })).headers.userMetadata?.['a'], 'b');
  assert.equal(existsSync(join(folder, 'x/y')), false);
  await backend.move('bucket', 'x', 'deep/new');
  assert.equal((await backend.head({ bucket: 'bucket', key: 'deep/new/z/renamed' })).headers.userMetadata?.['a'], 'b');
  await backend.delete({ bucket: 'bucket', key: 'deep/new/z/renamed' });
  assert.deepEqual(readdirSync(folder), ['.cellar']);
  assert.deepEqual(kinds(changes), [
    'put x/y/file',
    'move x/y/file x/z/renamed',
    'delete x/y/',
    'move x/ deep/new/',
    'delete deep/new/z/renamed',
    'delete deep/new/z/',
    'delete deep/new/',
    'delete deep/',
  ]);
});

test('move refuses what would lose something', async (t) => {
  const { backend } = await start(t);
  for (const key of ['a', 'b', 'folder/x']) await put(backend, key);
  await assert.rejects(backend.move('bucket', 'a', 'b'), faultWith('key_exists'));
  await assert.rejects(backend.move('bucket', 'a', 'folder'), faultWith('key_exists'));
  await assert.rejects(backend.move('bucket', 'folder', 'folder/inside'), faultWith('key_conflict'));
  await assert.rejects(backend.move('bucket', 'none', 'c'), faultWith('no_such_key'));
  await backend.move('bucket', 'a', 'b', { replace: true });
  const { body: bytes } = await backend.get({ bucket: 'bucket', key: 'b' }, () => undefined);
  assert.equal(Buffer.from(bytes as Uint8Array).toString(), 'a');
});

test('removeFolder', async (t) => {
  const { backend, folder } = await start(t);
  for (const key of ['f/a', 'f/g/b']) await put(backend, key);
  await assert.rejects(backend.removeFolder('bucket', 'f'), faultWith('folder_not_empty'));
  await backend.removeFolder('bucket', 'f', { recursive: true });
  await assert.rejects(backend.removeFolder('bucket', 'f'), faultWith('no_such_key'));
  assert.deepEqual([readdirSync(folder), readdirSync(join(folder, '.cellar/tmp'))], [['.cellar'], []]);
});

test('many writers of one key and of folders that come and go: whole objects only', async (t) => {
  const { backend, folder } = await start(t);
  const texts = Array.from({ length: 20 }, (_, index) => `${index}`.repeat(1_000));
  await Promise.all(
    texts.flatMap((text, index) => [
      put(backend, 'same', text),
      put(backend, `d/e/${index % 3}`, text).then(() => backend.delete({ bucket: 'bucket', key: `d/e/${index % 3}` })),
    ]),
  );
  assert.ok(texts.includes(readFileSync(join(folder, 'same'), 'utf8')));
  assert.equal(existsSync(join(folder, 'd')), false);
  assert.deepEqual(readdirSync(join(folder, '.cellar/tmp')), []);
});

test('a write is not acknowledged when its change could not be recorded', async (t) => {
  const { backend } = await start(t, async () => {
    throw new Error('the stream is away');
  });
  await assert.rejects(put(backend, 'a'), /the stream is away/);
});

test('metadata counts only for the state it was written for', async (t) => {
  const { backend, folder } = await start(t);
  await backend.put({ bucket: 'bucket', key: 'a' }, body('one'), { headers: { contentType: 'x/y' } });
  const { etag } = await backend.head({ bucket: 'bucket', key: 'a' });
  writeFileSync(join(folder, 'other'), 'two');
  renameSync(join(folder, 'other'), join(folder, 'a'));
  const changed = await backend.head({ bucket: 'bucket', key: 'a' });
  assert.notEqual(changed.etag, etag);
  assert.equal(changed.headers.contentType, 'application/octet-stream');
  const { objects } = await backend.list('bucket', { prefix: '', delimiter: '', after: '', limit: 10 });
  assert.deepEqual(
    objects.map((object) => object.etag),
    [changed.etag],
  );
});

test('a folder that is away is said to be away, never empty', async (t) => {
  const { backend, folder } = await start(t);
  renameSync(folder, `${folder}-away`);
  await assert.rejects(backend.list('bucket', { prefix: '', delimiter: '', after: '', limit: 10 }), faultWith('folder_missing'));
  await assert.rejects(put(backend, 'a'), faultWith('folder_missing'));
  assert.deepEqual(await backend.listBuckets(), []);
});

test('an empty folder where another one was is no empty bucket', async (t) => {
  const { backend, again, folder } = await start(t);
  await put(backend, 'a');
  renameSync(folder, `${folder}-away`);
  mkdirSync(folder);
  for (const one of [backend, again()]) {
    await assert.rejects(put(one, 'b'), faultWith('folder_missing'));
    await assert.rejects(one.head({ bucket: 'bucket', key: 'a' }), faultWith('folder_missing'));
    await assert.rejects(one.list('bucket', { prefix: '', delimiter: '', after: '', limit: 10 }), faultWith('folder_missing'));
    await assert.rejects(one.delete({ bucket: 'bucket', key: 'a' }), faultWith('folder_missing'));
    await assert.rejects(one.mkdir('bucket', 'f'), faultWith('folder_missing'));
  }
  assert.deepEqual(readdirSync(folder), []);
  rmdirSync(folder);
  renameSync(`${folder}-away`, folder);
  await put(backend, 'b');
  assert.equal((await backend.head({ bucket: 'bucket', key: 'a' })).sizeBytes, 1);
});

test('a folder that was empty may be another empty one, or be emptied', async (t) => {
  const { backend, folder } = await start(t);
  await assert.rejects(backend.head({ bucket: 'bucket', key: 'a' }), faultWith('no_such_key'));
  rmdirSync(folder);
  mkdirSync(folder);
  await assert.rejects(backend.head({ bucket: 'bucket', key: 'a' }), faultWith('no_such_key'));
  await put(backend, 'a');
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
  await assert.rejects(backend.head({ bucket: 'bucket', key: 'a' }), faultWith('no_such_key'));
  await put(backend, 'b');
});

test('a read-only folder', { skip: process.getuid?.() === 0 ? 'root may write everywhere' : false }, async (t) => {
  const { backend, folder } = await start(t);
  chmodSync(folder, 0o555);
  await assert.rejects(put(backend, 'a'), faultWith('read_only'));
});

test('what lies deeper than paths may be long is passed over, and is removed with its folder', async (t) => {
  const { backend, folder } = await start(t);
  await put(backend, 'a');
  // No path is long enough to make it at once, nor for the test to remove it.
  const half = Array.from({ length: 12 }, () => 'd'.repeat(200));
  for (const name of ['far', 'near']) {
    mkdirSync(join(folder, name, ...half), { recursive: true });
    writeFileSync(join(folder, name, ...half, 'file'), name);
  }
  renameSync(join(folder, 'far'), join(folder, 'near', ...half, 'far'));
  const { objects } = await backend.list('bucket', { prefix: '', delimiter: '', after: '', limit: 1000 });
  assert.ok(objects.some(({ key }) => key === 'a') && objects.some(({ key }) => key.endsWith('/file')));
  await backend.removeFolder('bucket', 'near', { recursive: true });
  assert.deepEqual(readdirSync(folder), ['.cellar', 'a']);
  assert.deepEqual(readdirSync(join(folder, '.cellar/tmp')), []);
});

test('sweep removes what a killed write left', async (t) => {
  const { backend, folder } = await start(t);
  await put(backend, 'a');
  writeFileSync(join(folder, '.cellar/tmp/left'), 'x');
  await backend.sweep();
  assert.deepEqual(readdirSync(join(folder, '.cellar/tmp')), []);
});
