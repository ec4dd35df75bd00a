import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { NodeEvent_Kind } from '#gen/cellar/data/v1/index_pb.ts';
import { Node_Kind } from '#gen/cellar/data/v1/node_pb.ts';
import { ContentInfoSchema } from '#gen/cellar/kernel/v1/content_pb.ts';
import { ServiceState } from '#kernel/services/registry.ts';
import { until } from '#kernel/testing/engines.ts';
import { type DataPlatform, type DataPlatformOptions, startDataPlatform } from '../testing/data-platform.ts';

const start = (t: TestContext, options: DataPlatformOptions = {}): Promise<DataPlatform> =>
  startDataPlatform(t, { datasources: ['docs', 'photos'], ...options });

function upload(
  data: DataPlatform,
  path: string,
  content: Uint8Array | string,
  more: { ifAbsent?: boolean; ifEtag?: string; sizeBytes?: bigint } = {},
) {
  const bytes = Buffer.from(content);
  return data.tree.upload(
    (async function* () {
      yield { path, ...more };
      for (let at = 0; at < bytes.length; at += 100_000) yield { content: { data: bytes.subarray(at, at + 100_000) } };
    })(),
  );
}

async function download(
  data: DataPlatform,
  path: string,
  part: { firstByte?: bigint; length?: bigint; suffixLength?: bigint } = {},
) {
  const pieces = await Array.fromAsync(data.tree.download({ path, ...part }));
  const info = pieces[0]?.extensions.map((any) => anyUnpack(any, ContentInfoSchema)).find(Boolean);
  return { content: Buffer.concat(pieces.map(({ data: piece }) => piece)), info, contentType: pieces[0]?.contentType };
}

const paths = async (data: DataPlatform, path: string): Promise<string[]> =>
  (await data.tree.list({ path })).nodes.map((node) => node.path);

describe('tree', () => {
  test('the root lists the datasources the caller may read', async (t) => {
    const data = await start(t, { isAllowed: (_caller, _action, resource) => !resource.startsWith('data/photos') });
    assert.deepEqual(await paths(data, ''), ['docs']);
    await upload(data, 'docs/a', 'abc');
    const root = await data.tree.stat({ path: '' });
    assert.deepEqual([root.kind, root.files, root.sizeBytes], [Node_Kind.FOLDER, 1n, 3n]);
    await assert.rejects(data.tree.list({ path: 'photos' }), { code: 'permission_denied' });
    await assert.rejects(data.tree.copy({ path: 'docs/a', target: 'photos/a' }), { code: 'permission_denied' });
    await assert.rejects(upload(data, 'photos/a', 'x'), { code: 'permission_denied' });
    assert.deepEqual(readdirSync(join(data.parent, 'photos')), []);
  });

  test('what was uploaded is listed and read at once', async (t) => {
    const data = await start(t);
    const content = randomBytes(1_000_000);
    for (let at = 0; at < 20; at++) {
      const node = await upload(data, `docs/new/f${at}.pdf`, content.subarray(0, at * 1000));
      assert.deepEqual([node.sizeBytes, node.name, node.contentType], [BigInt(at * 1000), `f${at}.pdf`, 'application/pdf']);
      assert.notEqual(node.id, '');
      const { nodes, stale } = await data.tree.list({ path: 'docs/new' });
      assert.deepEqual([nodes.length, stale], [at + 1, false]);
    }
    const node = await upload(data, 'docs/big.bin', content);
    assert.equal(node.etag, createHash('md5').update(content).digest('hex'));
    const whole = await download(data, 'docs/big.bin');
    assert.ok(whole.content.equals(content));
    assert.deepEqual([whole.info?.sizeBytes, whole.info?.length, whole.info?.etag], [1_000_000n, 1_000_000n, node.etag]);
    const part = await download(data, 'docs/big.bin', { firstByte: 5n, length: 10n });
    assert.ok(part.content.equals(content.subarray(5, 15)));
    assert.deepEqual([part.info?.firstByte, part.info?.length], [5n, 10n]);
    const end = await download(data, 'docs/big.bin', { suffixLength: 7n });
    assert.ok(end.content.equals(content.subarray(-7)));
    const outside = await download(data, 'docs/big.bin', { firstByte: 2_000_000n });
    assert.deepEqual([outside.content.length, outside.info?.length, outside.info?.sizeBytes], [0, 0n, 1_000_000n]);
    assert.equal((await download(data, 'docs/new/f0.pdf')).info?.sizeBytes, 0n);
  });

  test('an upload that is short, long, or not wanted leaves nothing', async (t) => {
    const data = await start(t);
    await assert.rejects(upload(data, 'docs/short', 'abc', { sizeBytes: 4n }), { reason: 'wrong_size' });
    await assert.rejects(upload(data, 'docs/long', 'abcde', { sizeBytes: 4n }), { reason: 'wrong_size' });
    await upload(data, 'docs/there', 'first', { sizeBytes: 5n });
    await assert.rejects(upload(data, 'docs/there', 'second', { ifAbsent: true }), { code: 'already_exists' });
    await assert.rejects(
      data.tree.upload(
        (async function* () {
          yield { path: 'docs/broken' };
          yield { content: { data: Buffer.from('abc') } };
          throw new Error('the client went away');
        })(),
      ),
    );
    assert.deepEqual(await paths(data, 'docs'), ['docs/there']);
    assert.deepEqual(
      readdirSync(data.folder()).filter((name) => name !== '.cellar'),
      ['there'],
    );
    assert.equal(readFileSync(join(data.folder(), 'there'), 'utf8'), 'first');
    assert.deepEqual(readdirSync(join(data.folder(), '.cellar/tmp')), []);
  });

  test('paths that no file can have are refused', async (t) => {
    const data = await start(t);
    for (const path of ['docs/', '/docs', 'docs//a', 'docs/../b', 'docs/.'])
      await assert.rejects(data.tree.stat({ path }), { reason: 'invalid_path' }, path);
    await assert.rejects(data.tree.stat({ path: 'nothing/here' }), { reason: 'datasource_missing' });
    await assert.rejects(data.tree.stat({ path: 'docs/none' }), { code: 'not_found' });
    await assert.rejects(data.tree.delete({ path: 'docs', recursive: true }), { reason: 'invalid_path' });
    await assert.rejects(upload(data, 'docs/.cellar/x', 'x'), { code: 'invalid_argument' });
    await upload(data, 'docs/file', 'x');
    await assert.rejects(data.tree.list({ path: 'docs/file' }), { reason: 'not_a_folder' });
    await assert.rejects(data.tree.makeFolder({ path: 'docs/file' }), { code: 'already_exists' });
    await assert.rejects(data.tree.makeFolder({ path: 'docs/file/below' }), { code: 'already_exists' });
    await assert.rejects(data.tree.list({ path: 'docs', pageToken: 'abc' }), { reason: 'page_token_invalid' });
  });

  test('folders are made, moved with their ids, copied and deleted', async (t) => {
    const data = await start(t);
    const made = await data.tree.makeFolder({ path: 'docs/a/b' });
    assert.equal(made.kind, Node_Kind.FOLDER);
    assert.equal((await data.tree.makeFolder({ path: 'docs/a/b' })).id, made.id);
    const file = await upload(data, 'docs/a/b/x', 'x');
    const moved = await data.tree.move({ path: 'docs/a/b', target: 'docs/c' });
    assert.deepEqual([moved.id, moved.path, moved.files], [made.id, 'docs/c', 1n]);
    assert.equal((await data.tree.stat({ path: 'docs/c/x' })).id, file.id);
    await assert.rejects(data.tree.stat({ path: 'docs/a/b' }), { code: 'not_found' });
    const copied = await data.tree.copy({ path: 'docs/c', target: 'docs/d' });
    assert.deepEqual([copied.files, copied.path], [1n, 'docs/d']);
    assert.notEqual(copied.id, made.id);
    await assert.rejects(data.tree.move({ path: 'docs/d/x', target: 'docs/c/x' }), { code: 'already_exists' });
    await data.tree.move({ path: 'docs/d/x', target: 'docs/c/x', overwrite: true });
    await assert.rejects(data.tree.delete({ path: 'docs/c' }), { code: 'failed_precondition' });
    await data.tree.delete({ path: 'docs/c', recursive: true });
    await assert.rejects(data.tree.delete({ path: 'docs/c' }), { code: 'not_found' });
    assert.ok(!existsSync(join(data.folder(), 'c')));
  });

  test('between datasources content is copied whole, then the source goes', async (t) => {
    const data = await start(t);
    await upload(data, 'docs/a/x.txt', 'hello');
    await upload(data, 'docs/a/deep/y', 'there');
    await data.tree.makeFolder({ path: 'docs/a/empty' });
    const copied = await data.tree.copy({ path: 'docs/a', target: 'photos/from-docs' });
    assert.deepEqual([copied.files, copied.sizeBytes], [2n, 10n]);
    assert.deepEqual(await paths(data, 'photos/from-docs'), [
      'photos/from-docs/deep',
      'photos/from-docs/empty',
      'photos/from-docs/x.txt',
    ]);
    await assert.rejects(data.tree.copy({ path: 'docs/a', target: 'photos/from-docs' }), { code: 'already_exists' });
    const moved = await data.tree.move({ path: 'docs/a/x.txt', target: 'photos/moved.txt' });
    assert.equal(moved.path, 'photos/moved.txt');
    assert.equal((await download(data, 'photos/moved.txt')).content.toString(), 'hello');
    await assert.rejects(data.tree.stat({ path: 'docs/a/x.txt' }), { code: 'not_found' });
  });

  test('what other programs do is listed within a second', async (t) => {
    const data = await start(t);
    await upload(data, 'docs/before', '1');
    mkdirSync(join(data.folder(), 'by-hand'));
    writeFileSync(join(data.folder(), 'by-hand/x'), '1');
    await until(async () => (await data.tree.stat({ path: 'docs' })).files === 2n, 1000);
    const { etag } = await data.tree.stat({ path: 'docs/by-hand/x' });
    assert.equal((await download(data, 'docs/by-hand/x')).info?.etag, etag, 'every door gives the same etag');
    rmSync(join(data.folder(), 'by-hand'), { recursive: true });
    await until(async () => (await paths(data, 'docs')).length === 1, 1000);
  });

  test('a watch tells what changes from now on, at the root of all datasources', async (t) => {
    const data = await start(t, { isAllowed: (_caller, _action, resource) => !resource.startsWith('data/docs/hidden') });
    await upload(data, 'docs/old', '1');
    const watching = new AbortController();
    t.after(() => watching.abort());
    const seen: string[] = [];
    const below: string[] = [];
    const collect = async (path: string, into: string[]): Promise<void> => {
      for await (const { event } of data.tree.watch({ path }, { signal: watching.signal }))
        into.push(`${event?.kind === NodeEvent_Kind.DELETED ? '-' : '+'}${event?.node?.path}`);
    };
    const ended = Promise.allSettled([collect('', seen), collect('docs/sub', below)]);
    // A watch has no sign that it has begun, so something is written until it is told.
    await until(async () => {
      await upload(data, `docs/probe${Math.random()}`, '1');
      return seen.length > 0;
    });
    writeFileSync(join(data.folder('docs'), 'hidden'), '1');
    await upload(data, 'photos/p', '1');
    await upload(data, 'docs/sub/x', '1');
    await data.tree.delete({ path: 'docs/sub/x' });
    // With its last file the folder goes, which sync may see first: it tells of the folder alone then.
    const isGone = (lines: readonly string[]): boolean => lines.includes('-docs/sub/x') || lines.includes('-docs/sub');
    await until(() => seen.includes('+photos/p') && isGone(seen) && isGone(below));
    assert.ok(!seen.includes('+docs/old') && !seen.includes('+docs/hidden'));
    assert.ok(below.every((line) => line.slice(1).startsWith('docs/sub')));
    watching.abort();
    await ended;
  });

  test('with storage away the listing says that it may be old, and writes say that they cannot be done', async (t) => {
    const data = await start(t);
    await upload(data, 'docs/a', '1');
    const { registry } = data.platform.surroundings;
    const own = registry.get('cellar.grpc.data.objects.local1');
    assert.ok(own);
    registry.set({ ...own, state: ServiceState.Backoff });
    const { nodes, stale } = await data.tree.list({ path: 'docs' });
    assert.deepEqual([nodes.length, stale], [1, true]);
    await assert.rejects(upload(data, 'docs/b', '1'), { code: 'unavailable' });
    registry.set(own);
    assert.equal((await data.tree.list({ path: 'docs' })).stale, false);
  });

  test('with sync away a write is answered, and a listing says that it may be old', async (t) => {
    const data = await startDataPlatform(t, { only: ['cellar.grpc.data.objects', 'cellar.grpc.data.index', 'cellar.rest.tree'] });
    const node = await upload(data, 'docs/a', 'abc');
    assert.deepEqual([node.path, node.sizeBytes, node.kind], ['docs/a', 3n, Node_Kind.FILE]);
    assert.equal((await data.tree.list({ path: 'docs' })).stale, true);
  });

  test('a listing has no names that the caller may not read', async (t) => {
    const isAllowed: DataPlatformOptions['isAllowed'] = (_caller, action, resource, extent) =>
      action === 'data:write' || (!resource.includes('secret') && extent !== 'with_all_below');
    const data = await start(t, { isAllowed });
    for (const name of ['a', 'secret.txt', 'z', 'secrets/x']) await upload(data, `docs/${name}`, name);
    assert.deepEqual(await paths(data, 'docs'), ['docs/a', 'docs/z']);
  });

  test('an upload replaces only the content that was expected', async (t) => {
    const data = await start(t);
    const { etag } = await upload(data, 'docs/a', 'one');
    await assert.rejects(upload(data, 'docs/a', 'two', { ifEtag: 'other' }), { reason: 'etag_mismatch' });
    await assert.rejects(upload(data, 'docs/none', 'two', { ifEtag: etag }), { reason: 'etag_mismatch' });
    await upload(data, 'docs/a', 'three', { ifEtag: etag });
    assert.equal((await download(data, 'docs/a')).content.toString(), 'three');
  });

  test('a watch that goes on from a cursor misses nothing', async (t) => {
    const data = await start(t);
    const watch = async (from: string, count: number): Promise<{ seen: string[]; cursor: string }> => {
      const seen: string[] = [];
      let cursor = from;
      for await (const response of data.tree.watch({ path: 'docs', from })) {
        seen.push(response.event?.node?.path ?? '');
        ({ cursor } = response);
        if (seen.length === count) break;
      }
      return { seen, cursor };
    };
    const first = watch('', 1);
    await until(async () => {
      await upload(data, 'docs/0', String(Math.random()));
      return Promise.race([first.then(() => true), new Promise<boolean>((resolve) => setImmediate(resolve, false))]);
    });
    const { cursor } = await first;
    for (const name of ['1', '2', '3']) await upload(data, `docs/${name}`, name);
    const rest = await watch(cursor, 3);
    assert.deepEqual(
      rest.seen.filter((path) => path !== 'docs/0'),
      ['docs/1', 'docs/2', 'docs/3'].slice(0, rest.seen.filter((path) => path !== 'docs/0').length),
    );
    await assert.rejects(watch('nonsense', 1), { reason: 'invalid_cursor' });
  });

  test('who keeps a copy lists, and then goes on from the position of before', async (t) => {
    const data = await start(t);
    await upload(data, 'docs/in/a', 'a');
    const { position, changes } = await data.tree.listChanges({ path: 'docs/in' });
    assert.deepEqual(changes, []);
    await upload(data, 'docs/in/b', 'b');
    await upload(data, 'docs/out', 'c');
    await data.tree.move({ path: 'docs/in/a', target: 'docs/in/c' });
    await data.tree.stat({ path: 'docs/in/c' });
    const page = await data.tree.listChanges({ path: 'docs/in', after: position });
    const kinds = page.changes.filter(({ node }) => node?.kind === Node_Kind.FILE).map(({ kind, node }) => [kind, node?.path]);
    assert.deepEqual(kinds, [
      [NodeEvent_Kind.CREATED, 'docs/in/b'],
      [NodeEvent_Kind.MOVED, 'docs/in/c'],
    ]);
    assert.equal(page.hasMore, false);
    const none = await data.tree.listChanges({ path: 'docs/in', after: page.position });
    assert.deepEqual(none.changes, []);
    await assert.rejects(data.tree.listChanges({ path: 'docs', after: 1_000_000n }), { code: 'out_of_range' });
  });

  test('the first folders of a datasource of buckets are buckets', async (t) => {
    const data = await start(t, { datasources: ['docs', 's3'], buckets: 's3' });
    await assert.rejects(upload(data, 's3/file', 'x'), { reason: 'file_beside_buckets' });
    await assert.rejects(data.tree.makeFolder({ path: 's3/Not_A_Bucket' }), { reason: 'invalid_bucket_name' });
    await assert.rejects(data.tree.makeFolder({ path: 's3/docs' }), { reason: 'file_exists' }).catch(() => undefined);
    assert.equal((await data.tree.makeFolder({ path: 's3/photos' })).kind, Node_Kind.FOLDER);
    await data.tree.makeFolder({ path: 's3/photos' });
    await upload(data, 's3/photos/2026/a.jpg', 'abc');
    assert.equal(readFileSync(join(data.parent, 's3/photos/2026/a.jpg'), 'utf8'), 'abc');
    assert.deepEqual(await paths(data, 's3'), ['s3/photos']);
    assert.deepEqual(await paths(data, 's3/photos/2026'), ['s3/photos/2026/a.jpg']);
    await data.tree.makeFolder({ path: 's3/music/in' });
    await data.tree.copy({ path: 's3/photos/2026', target: 's3/music/in/here' });
    assert.deepEqual(await paths(data, 's3/music/in/here'), ['s3/music/in/here/a.jpg']);
    await data.tree.move({ path: 's3/photos/2026/a.jpg', target: 'docs/a.jpg' });
    assert.equal((await download(data, 'docs/a.jpg')).content.toString(), 'abc');
    await assert.rejects(data.tree.delete({ path: 's3/music' }), { reason: 'bucket_not_empty' });
    await data.tree.delete({ path: 's3/music', recursive: true });
    assert.deepEqual(await paths(data, 's3'), ['s3/photos']);
    await data.tree.delete({ path: 's3/photos', recursive: true });
    assert.deepEqual(
      readdirSync(join(data.parent, 's3')).filter((name) => !name.startsWith('.')),
      [],
    );
  });
});
