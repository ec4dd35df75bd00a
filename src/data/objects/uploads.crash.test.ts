import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { crashable, runFaulty } from '#data/objects/testing/faulty-fs.ts';
import { migrate } from '#kernel/database/migrations.ts';
import { Fault } from '#kernel/fault.ts';
import { sqliteFactory } from '#kernel/testing/databases.ts';
import type { CompletedPart, PartInfo } from '#s3/backend.ts';
import { storedBody } from '#s3/stored-body.ts';
import { createFolderBackend, type FolderBackend } from './logic/folder-backend.ts';
import { migrations } from './store/migrations.ts';
import { createSqlObjectStore } from './store/sql.ts';

/*
 * Everything that can be interrupted is, once at each step: whatever was acknowledged is there afterwards, and the request can be repeated.
 */

const key = 'deep/big';

interface Bench {
  readonly bucket: string;
  readonly folder: string;
  /** As after a restart. */
  start(): Promise<FolderBackend>;
}

async function benches(t: TestContext): Promise<() => Bench> {
  const parent = realpathSync(mkdtempSync(join(tmpdir(), 'cellar-uploads-')));
  t.after(() => rmSync(parent, { recursive: true, force: true }));
  const database = await sqliteFactory.open(t);
  await migrate(database, migrations);
  let count = 0;
  return () => {
    const bucket = `bucket-${++count}`;
    mkdirSync(join(parent, bucket));
    return {
      bucket,
      folder: join(parent, bucket),
      async start() {
        const store = crashable(createSqlObjectStore(database));
        const { record } = crashable({ record: async () => undefined });
        const backend = createFolderBackend({
          parent,
          folders: [{ bucket, folder: bucket }],
          store,
          record,
          partSizeBytesMin: 4,
        });
        await backend.sweep();
        return backend;
      },
    };
  };
}

function bodyOf(text: string) {
  const info = { key: '', sizeBytes: text.length, mtimeMs: 0, etag: '', headers: {}, checksums: {} };
  return storedBody({ info, range: undefined, body: Buffer.from(text) }, 'crc32');
}

const choose = (parts: readonly PartInfo[]): CompletedPart[] =>
  parts.map(({ partNumber, etag }) => ({ partNumber, etag, checksums: {} }));

async function contentOf(backend: FolderBackend, bucket: string): Promise<string> {
  const { body } = await backend.get({ bucket, key }, () => undefined);
  return Buffer.from(body as Uint8Array).toString();
}

/** Runs `task` once for each step it can be interrupted at, and looks each time. */
async function everyStep(run: (at: number) => Promise<boolean>): Promise<void> {
  for (let at = 0; await run(at); at++) assert.ok(at < 300);
}

/** Which parts are sent, in which order; what of them is wanted; what comes of it. */
const layouts: readonly (readonly [
  what: string,
  sent: readonly (readonly [number, string])[],
  wanted: readonly number[],
  text: string,
])[] = [
  [
    'all at their places',
    [
      [2, 'bbbb'],
      [1, 'aaaa'],
      [3, 'c'],
    ],
    [1, 2, 3],
    'aaaabbbbc',
  ],
  [
    'one sent again',
    [
      [1, 'aaaa'],
      [2, 'xxxx'],
      [3, 'c'],
      [2, 'bbbb'],
    ],
    [1, 2, 3],
    'aaaabbbbc',
  ],
  [
    'of different sizes',
    [
      [1, 'aaaaa'],
      [2, 'bbbbbbb'],
      [3, 'cccc'],
    ],
    [1, 2, 3],
    'aaaaabbbbbbbcccc',
  ],
  [
    'not all of them',
    [
      [1, 'aaaa'],
      [2, 'bbbb'],
      [3, 'cccc'],
    ],
    [1, 3],
    'aaaacccc',
  ],
  ['a single one', [[5, 'aaaa']], [5], 'aaaa'],
];

for (const kind of ['crash', 'EIO', 'ENOSPC', 'short'] as const) {
  for (const [what, sent, wanted, text] of kind === 'crash' ? layouts : layouts.slice(1, 3)) {
    test(`completing survives ${kind} at every step: ${what}`, async (t) => {
      const bench = await benches(t);
      await everyStep(async (at) => {
        const { bucket, folder, start } = bench();
        let backend = await start();
        const checksum = { algorithm: 'crc32', kind: 'full_object' } as const;
        const upload = { bucket, key, uploadId: await backend.createUpload({ bucket, key }, { checksum }) };
        for (const [partNumber, part] of sent) await backend.putPart(upload, partNumber, bodyOf(part));
        const parts = (await backend.listParts(upload)).filter(({ partNumber }) => wanted.includes(partNumber));
        const { result, isStruck } = await runFaulty({ kind, at }, () => backend.completeUpload(upload, choose(parts)));
        if (kind === 'crash') backend = await start();
        const isThere = (await backend.list(bucket, { prefix: '', delimiter: '', after: '', limit: 9 })).objects.length === 1;
        if (result.status === 'fulfilled') assert.ok(isThere);
        const again = await backend.completeUpload(upload, choose(parts));
        if (result.status === 'fulfilled') assert.deepEqual(again, result.value);
        assert.equal(await contentOf(backend, bucket), text);
        assert.deepEqual(
          again.parts?.map(({ partNumber, sizeBytes }) => [partNumber, sizeBytes]),
          parts.map(({ partNumber, sizeBytes }) => [partNumber, sizeBytes]),
        );
        assert.deepEqual(await backend.listUploads(bucket), []);
        await start();
        assert.deepEqual(readdirSync(join(folder, '.cellar/uploads', upload.uploadId)), ['completed.json']);
        return isStruck;
      });
    });
  }
}

test('sending a part survives a crash at every step: it is the old one or the new one', async (t) => {
  const bench = await benches(t);
  for (const before of [[], ['xxxx'], ['xxxx', 'yyyy']]) {
    await everyStep(async (at) => {
      const { bucket, start } = bench();
      let backend = await start();
      const upload = { bucket, key, uploadId: await backend.createUpload({ bucket, key }, {}) };
      await backend.putPart(upload, 1, bodyOf('aaaa'));
      for (const text of before) await backend.putPart(upload, 2, bodyOf(text));
      const { result, isStruck } = await runFaulty({ kind: 'crash', at }, () => backend.putPart(upload, 2, bodyOf('bbbb')));
      backend = await start();
      await backend.putPart(upload, 3, bodyOf('c'));
      const parts = await backend.listParts(upload);
      await backend.completeUpload(upload, choose(parts));
      const text = await contentOf(backend, bucket);
      const possible = result.status === 'fulfilled' ? ['aaaabbbbc'] : [`aaaa${before.at(-1) ?? ''}c`, 'aaaabbbbc'];
      assert.ok(possible.includes(text), text);
      return isStruck;
    });
  }
});

test('aborting survives a crash at every step', async (t) => {
  const bench = await benches(t);
  await everyStep(async (at) => {
    const { bucket, folder, start } = bench();
    let backend = await start();
    const upload = { bucket, key, uploadId: await backend.createUpload({ bucket, key }, {}) };
    await backend.putPart(upload, 1, bodyOf('aaaa'));
    const { result, isStruck } = await runFaulty({ kind: 'crash', at }, () => backend.abortUpload(upload));
    backend = await start();
    if (result.status === 'rejected' && (await backend.listUploads(bucket)).length === 1) await backend.abortUpload(upload);
    await assert.rejects(backend.listParts(upload), (error) => error instanceof Fault && error.reason === 'no_such_upload');
    assert.deepEqual(readdirSync(join(folder, '.cellar/uploads')), []);
    return isStruck;
  });
});

test('parts that are sent at the same time, the same ones too, make one whole', async (t) => {
  const { bucket, start } = (await benches(t))();
  const backend = await start();
  const upload = { bucket, key, uploadId: await backend.createUpload({ bucket, key }, {}) };
  await Promise.all(
    Array.from({ length: 60 }, (_, index) => backend.putPart(upload, (index % 20) + 1, bodyOf(`${index % 10}`.repeat(4)))),
  );
  const parts = await backend.listParts(upload);
  assert.equal(parts.length, 20);
  // While one more is on its way, the object is complete without it.
  const [info] = await Promise.all([
    backend.completeUpload(upload, choose(parts)),
    backend.putPart(upload, 3, bodyOf('zzzz')).catch(() => undefined),
  ]);
  const content = await contentOf(backend, bucket);
  const possible = Array.from({ length: 20 }, (_, index) => `${index % 10}`.repeat(4)).join('');
  assert.equal(content, possible);
  assert.equal(info.sizeBytes, 80);
});
