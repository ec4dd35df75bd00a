import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Fault } from '#kernel/fault.ts';
import type { PutOptions, VersionQuery } from '#s3/backend.ts';
import { type StartedBackend, startBackend, textBody } from './testing/start-backend.ts';

const faultWith = (reason: string) => (error: unknown) => error instanceof Fault && error.reason === reason;
const all: VersionQuery = { prefix: '', delimiter: '', after: '', limit: 1000 };

interface Started extends StartedBackend {
  versioning(to: 'Enabled' | 'Suspended'): Promise<void>;
  put(key: string, text: string, options?: PutOptions): Promise<string>;
  remove(key: string, versionId?: string): Promise<string | undefined>;
  read(key: string, versionId?: string): Promise<string>;
  /** `key text`, with `*` for the latest and `x` for delete markers. */
  versions(query?: Partial<VersionQuery>): Promise<string[]>;
}

async function start(t: TestContext): Promise<Started> {
  const started = await startBackend(t);
  const { backend } = started;
  const bucket = 'bucket';
  const read = async (key: string, versionId?: string): Promise<string> => {
    const { body } = await backend.get({ bucket, key, versionId }, () => undefined);
    return Buffer.from(body as Uint8Array).toString();
  };
  return {
    ...started,
    read,
    versioning: (to) => backend.changeBucketSettings(bucket, (settings) => ({ ...settings, versioning: to })),
    put: async (key, text, options = {}) => (await backend.put({ bucket, key }, textBody(text), options)).versionId ?? 'none',
    remove: async (key, versionId) => (await backend.delete({ bucket, key, versionId })).versionId,
    async versions(query = {}) {
      const lines: string[] = [];
      for (let page = { ...all, ...query }; ; ) {
        const { versions, commonPrefixes, next } = await backend.listVersions(bucket, page);
        lines.push(...commonPrefixes);
        for (const { key, versionId, isLatest, isDeleteMarker } of versions) {
          const text = isDeleteMarker ? 'x' : await read(key, versionId);
          lines.push(`${key} ${text}${isLatest ? '*' : ''}${versionId === 'null' ? ' null' : ''}`);
        }
        if (!next) return lines;
        page = { ...page, after: next.key, afterVersionId: next.versionId };
      }
    },
  };
}

test('every version is kept until it is deleted, and the newest that is left is the current one', async (t) => {
  const { put, read, remove, versions, versioning, folder, changes } = await start(t);
  assert.equal(await put('a/b', '0'), 'none');
  await versioning('Enabled');
  const one = await put('a/b', '1');
  const two = await put('a/b', '2');
  assert.deepEqual(await versions(), ['a/b 2*', 'a/b 1', 'a/b 0 null']);
  assert.equal(readFileSync(join(folder, 'a/b'), 'utf8'), '2');
  const marker = await remove('a/b');
  assert.equal(existsSync(join(folder, 'a')), false);
  assert.deepEqual(await versions(), ['a/b x*', 'a/b 2', 'a/b 1', 'a/b 0 null']);
  await assert.rejects(read('a/b'), faultWith('delete_marker'));
  await assert.rejects(read('a/b', marker), faultWith('delete_marker'));
  await assert.rejects(read('a/b', 'other'), faultWith('no_such_version'));
  await remove('a/b', one);
  await remove('a/b', marker);
  assert.equal(readFileSync(join(folder, 'a/b'), 'utf8'), '2');
  assert.deepEqual(await versions(), ['a/b 2*', 'a/b 0 null']);
  await remove('a/b', two);
  assert.deepEqual(await versions(), ['a/b 0* null']);
  await remove('a/b', 'null');
  assert.deepEqual(await versions(), []);
  assert.deepEqual(readdirSync(folder), ['.cellar']);
  assert.deepEqual(
    changes.map(({ kind, key }) => `${kind} ${key}`),
    ['put a/b', 'put a/b', 'put a/b', 'delete a/b', 'delete a/', 'put a/b', 'put a/b', 'delete a/b', 'delete a/'],
  );
});

test('while versioning is suspended there is one version without an id', async (t) => {
  const { put, remove, versions, versioning } = await start(t);
  await put('k', '0');
  await versioning('Enabled');
  await put('k', '1');
  await versioning('Suspended');
  assert.equal(await put('k', '2'), 'null');
  assert.deepEqual(await versions(), ['k 2* null', 'k 1']);
  await put('k', '3');
  assert.deepEqual(await versions(), ['k 3* null', 'k 1']);
  assert.equal(await remove('k'), 'null');
  assert.deepEqual(await versions(), ['k x* null', 'k 1']);
  await put('k', '4');
  await versioning('Enabled');
  await put('k', '5');
  await remove('k');
  assert.deepEqual(await versions(), ['k x*', 'k 5', 'k 4 null', 'k 1']);
});

test('what is kept beside the bytes goes with its version, and can be changed for each', async (t) => {
  const { backend, put, remove, versioning } = await start(t);
  await versioning('Enabled');
  const one = await put('k', '1', { headers: { contentType: 'x/1' }, tags: { n: '1' } });
  const two = await put('k', '2', { headers: { contentType: 'x/2' } });
  await backend.update({ bucket: 'bucket', key: 'k', versionId: one }, ({ tags }) => ({ tags: { ...tags, more: 'x' } }));
  await backend.update({ bucket: 'bucket', key: 'k' }, () => ({ tags: { n: '2' }, hasLegalHold: false }));
  await remove('k', two);
  const { headers, tags, versionId } = await backend.head({ bucket: 'bucket', key: 'k' });
  assert.deepEqual([headers, tags, versionId], [{ contentType: 'x/1' }, { n: '1', more: 'x' }, one]);
  await backend.update({ bucket: 'bucket', key: 'k' }, () => ({ tags: undefined }));
  assert.equal((await backend.head({ bucket: 'bucket', key: 'k' })).tags, undefined);
});

test('what is held or retained stays, whoever asks', async (t) => {
  const { backend, put, remove, versions, versioning } = await start(t);
  await versioning('Enabled');
  const held = await put('k', '1', { hasLegalHold: true });
  const retained = await put('k', '2', { retention: { mode: 'COMPLIANCE', untilMs: Date.now() + 60_000 } });
  await remove('k');
  for (const versionId of [held, retained]) await assert.rejects(remove('k', versionId), faultWith('object_locked'));
  await put('f/k', '3', { hasLegalHold: true });
  await assert.rejects(backend.move('bucket', 'f/k', 'g'), faultWith('object_locked'));
  await backend.removeFolder('bucket', 'f', { recursive: true });
  assert.deepEqual(await versions(), ['f/k x*', 'f/k 3', 'k x*', 'k 2', 'k 1']);
  await backend.update({ bucket: 'bucket', key: 'k', versionId: held }, () => ({ hasLegalHold: false }));
  await remove('k', held);
});

test('a file that other programs put or take away', async (t) => {
  const { put, read, versions, versioning, folder } = await start(t);
  await versioning('Enabled');
  await put('k', '1');
  await put('k', '2');
  rmSync(join(folder, 'k'));
  await assert.rejects(read('k'), faultWith('no_such_key'));
  assert.deepEqual(await versions(), ['k 1']);
  writeFileSync(join(folder, 'k'), 'other');
  assert.deepEqual(await versions(), ['k other* null', 'k 1']);
  await put('k', '3');
  assert.deepEqual(await versions(), ['k 3*', 'k other null', 'k 1']);
});

test('versions in a tree: moves leave delete markers behind, and removed folders their versions', async (t) => {
  const { backend, put, versions, versioning, folder } = await start(t);
  await versioning('Enabled');
  for (const text of ['1', '2']) for (const key of ['f/a', 'f/g/b', 'to']) await put(key, text);
  await backend.move('bucket', 'f/a', 'to', { replace: true });
  assert.deepEqual(await versions({ prefix: 'to' }), ['to 2*', 'to 2', 'to 1']);
  assert.deepEqual(await versions({ prefix: 'f/a' }), ['f/a x*', 'f/a 1']);
  await backend.move('bucket', 'f', 'h');
  assert.deepEqual(await versions({ prefix: 'f/' }), ['f/a x*', 'f/a 1', 'f/g/b x*', 'f/g/b 1']);
  assert.deepEqual(await versions({ prefix: 'h/' }), ['h/g/b 2*']);
  await backend.removeFolder('bucket', 'h', { recursive: true });
  assert.deepEqual(await versions({ prefix: 'h/' }), ['h/g/b x*', 'h/g/b 2']);
  assert.deepEqual(readdirSync(folder).sort(), ['.cellar', 'to']);
});

test('pages of versions, whatever their size, with groups and keys that are no file names', async (t) => {
  const { put, remove, versions, versioning } = await start(t);
  await versioning('Enabled');
  const keys = ['a', 'a/b', 'a/b/c', '../x', 'b//c', '\0', 'c', '😀'];
  for (const text of ['1', '2']) for (const key of keys) await put(key, text);
  for (const key of ['a/b', '../x', 'c']) await remove(key);
  const expected = await versions();
  assert.equal(expected.length, 19);
  for (const limit of [1, 2, 3, 7, 18, 19]) assert.deepEqual(await versions({ limit }), expected, `${limit} a page`);
  for (const limit of [1, 2, 3]) {
    // Of one page the groups come first here.
    assert.deepEqual(
      (await versions({ limit, delimiter: '/' })).sort(),
      ['\0 2*', '\0 1', '../', 'a 2*', 'a 1', 'a/', 'b/', 'c x*', 'c 2', 'c 1', '😀 2*', '😀 1'].sort(),
    );
  }
});
