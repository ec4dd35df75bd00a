import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { alreadyExists } from '#kernel/fault.ts';
import type { ObjectBody } from '#s3/backend.ts';
import { S3Error } from '#s3/errors.ts';
import { startTestS3, type TestS3 } from '#s3/testing/server.ts';
import type { Change } from '../logic/change.ts';
import type { FolderBackend } from '../logic/folder-backend.ts';
import { createRemoteBackend } from './remote-backend.ts';

interface Started {
  readonly remote: FolderBackend;
  readonly there: TestS3;
  readonly changes: Change[];
}

function connect(t: TestContext, endpoint: string, { bucket = 'photos', prefix = '', secret = 'secret+/=' } = {}) {
  const ending = new AbortController();
  t.after(() => ending.abort());
  const changes: Change[] = [];
  const account = { endpoint, region: 'us-east-1', accessKey: 'AKTEST', secretKey: async () => secret };
  const remote = createRemoteBackend({
    buckets: [{ name: 'here', bucket, prefix, account }],
    record: async (change) => void changes.push(change),
    signal: ending.signal,
  });
  return { remote, changes };
}

async function start(t: TestContext, prefix = ''): Promise<Started> {
  const there = await startTestS3(t, { partSizeBytesMin: 1 });
  return { there, ...connect(t, there.endpoint, { prefix }) };
}

async function serve(t: TestContext, handle: RequestListener): Promise<string> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function bodyOf(
  content: string | Uint8Array,
  { isSized = true, verify }: { isSized?: boolean; verify?: () => void } = {},
): ObjectBody {
  const bytes = Buffer.from(content);
  return {
    bytes: (async function* () {
      for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
    })(),
    sizeBytes: isSized ? bytes.length : undefined,
    verify: async () => {
      verify?.();
      return { md5Hex: createHash('md5').update(bytes).digest('hex'), checksums: {} };
    },
  };
}

const put = (remote: FolderBackend, key: string, content: string | Uint8Array = key) =>
  remote.put({ bucket: 'here', key }, bodyOf(content), {});

async function read(remote: FolderBackend, key: string, first?: number, last?: number): Promise<string> {
  const range = first === undefined || last === undefined ? undefined : { first, last };
  const { body } = await remote.get({ bucket: 'here', key }, () => range);
  if (body instanceof Uint8Array) return Buffer.from(body).toString();
  await using stream = body;
  return Buffer.concat(await Array.fromAsync(stream)).toString();
}

async function listAll(remote: FolderBackend, query: { prefix?: string; delimiter?: string; limit: number }): Promise<string[]> {
  const found: string[] = [];
  for (let after: string | undefined = ''; after !== undefined; ) {
    const page = await remote.list('here', { prefix: '', delimiter: '', ...query, after });
    assert.ok(page.objects.length + page.commonPrefixes.length <= query.limit);
    found.push(...page.objects.map(({ key }) => key), ...page.commonPrefixes);
    after = page.next;
  }
  return found.sort();
}

test('an object comes back as it was written, whole and in part', async (t) => {
  const { remote, there, changes } = await start(t);
  const headers = { contentType: 'text/plain', cacheControl: 'no-cache', userMetadata: { by: 'ada' } };
  const info = await remote.put({ bucket: 'here', key: 'a b/ü+%.txt' }, bodyOf('hello'), { headers });
  assert.equal(info.etag, createHash('md5').update('hello').digest('hex'));
  assert.equal(readFileSync(join(there.folder, 'a b/ü+%.txt'), 'utf8'), 'hello');
  assert.equal(await read(remote, 'a b/ü+%.txt'), 'hello');
  assert.equal(await read(remote, 'a b/ü+%.txt', 1, 3), 'ell');
  const head = await remote.head({ bucket: 'here', key: 'a b/ü+%.txt' });
  assert.deepEqual([head.sizeBytes, head.headers.contentType, head.headers.userMetadata], [5, 'text/plain', { by: 'ada' }]);
  assert.deepEqual(
    changes.map(({ bucket, key, kind, sizeBytes, etag }) => [bucket, key, kind, sizeBytes, etag]),
    [['here', 'a b/ü+%.txt', 'put', 5, info.etag]],
  );
  await put(remote, 'empty', '');
  assert.equal(await read(remote, 'empty'), '');
  await remote.delete({ bucket: 'here', key: 'empty' });
  await assert.rejects(remote.head({ bucket: 'here', key: 'empty' }), { reason: 'no_such_key' });
});

test('nothing is stored of a body that is not what was promised', async (t) => {
  const { remote, there, changes } = await start(t);
  const verify = (): never => {
    throw alreadyExists('not what was promised');
  };
  for (const [key, body] of [
    ['one', bodyOf('hello', { verify })],
    ['several', bodyOf(randomBytes(200_000), { verify })],
    ['unsized', bodyOf('hello', { isSized: false, verify })],
    ['parts', bodyOf(randomBytes(17 * 1024 * 1024), { isSized: false, verify })],
  ] as const) {
    await assert.rejects(remote.put({ bucket: 'here', key }, body, {}), { code: 'already_exists' }, key);
    assert.ok(!existsSync(join(there.folder, key)), key);
  }
  // What a sender did wrong is told in the words of the door it came by.
  const wrong = new S3Error('BadDigest');
  const body = bodyOf('hello', {
    verify: () => {
      throw wrong;
    },
  });
  await assert.rejects(remote.put({ bucket: 'here', key: 'wrong' }, body, {}), wrong);
  assert.deepEqual(changes, []);
  assert.deepEqual(await remote.listUploads('here'), []);
});

test('what is large, or of unknown size, goes in parts', async (t) => {
  const { remote, there } = await start(t);
  const content = randomBytes(17 * 1024 * 1024);
  await remote.put({ bucket: 'here', key: 'large' }, bodyOf(content, { isSized: false }), { headers: { contentType: 'x/y' } });
  assert.ok(readFileSync(join(there.folder, 'large')).equals(content));
  assert.equal((await remote.head({ bucket: 'here', key: 'large' })).headers.contentType, 'x/y');
});

test('only what lies below the prefix is there, without it', async (t) => {
  const { remote, there } = await start(t, 'own/');
  mkdirSync(join(there.folder, 'other'));
  writeFileSync(join(there.folder, 'other/x'), 'no');
  const keys = ['a/b', 'b/1', 'b/2', 'b/c/d', 'c d', 'z\u{10000}', 'z\uffee'];
  for (const key of keys) await put(remote, key);
  assert.equal(readFileSync(join(there.folder, 'own/b/1'), 'utf8'), 'b/1');
  for (const limit of [1, 2, 3, 1000]) {
    assert.deepEqual(await listAll(remote, { limit }), keys.toSorted());
    assert.deepEqual(await listAll(remote, { limit, delimiter: '/' }), ['a/', 'b/', 'c d', 'z\uffee', 'z\u{10000}'].sort());
    assert.deepEqual(await listAll(remote, { limit, delimiter: '/', prefix: 'b/' }), ['b/1', 'b/2', 'b/c/']);
  }
});

test('a condition sees what is there, and the other server holds it to that', async (t) => {
  const { remote } = await start(t);
  const absent = (current: unknown): void => {
    if (current) throw alreadyExists('it is there');
  };
  const write = () => remote.put({ bucket: 'here', key: 'a' }, bodyOf('1'), { condition: absent });
  const results = await Promise.allSettled([write(), write(), write(), write()]);
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const result of results) if (result.status === 'rejected') assert.equal(result.reason.code, 'already_exists');
});

test('an upload in parts is one at the other server', async (t) => {
  const { remote } = await start(t);
  const uploadId = await remote.createUpload({ bucket: 'here', key: 'up' }, { headers: { contentType: 'a/b' } });
  const name = { bucket: 'here', key: 'up', uploadId };
  const parts = [];
  for (const [at, text] of ['first', 'second'].entries()) parts.push(await remote.putPart(name, at + 1, bodyOf(text)));
  assert.deepEqual(
    (await remote.listUploads('here')).map((one) => [one.key, one.uploadId]),
    [['up', uploadId]],
  );
  assert.deepEqual(
    (await remote.listParts(name)).map(({ sizeBytes }) => sizeBytes),
    [5, 6],
  );
  await remote.completeUpload(name, parts);
  assert.equal(await read(remote, 'up'), 'firstsecond');
  await assert.rejects(remote.headUpload({ ...name, uploadId: 'none' }), { reason: 'no_such_upload' });
});

test('objects are copied there, with other headers when asked', async (t) => {
  const { remote } = await start(t);
  await remote.put({ bucket: 'here', key: 'a' }, bodyOf('A'), { headers: { contentType: 'one/one' } });
  await remote.copy({ bucket: 'here', key: 'a' }, { bucket: 'here', key: 'b' }, {});
  await remote.copy({ bucket: 'here', key: 'a' }, { bucket: 'here', key: 'c' }, { headers: { contentType: 'two/two' } });
  assert.equal(await read(remote, 'b'), 'A');
  const types = await Promise.all(
    ['b', 'c'].map(async (key) => (await remote.head({ bucket: 'here', key })).headers.contentType),
  );
  assert.deepEqual(types, ['one/one', 'two/two']);
});

test('folders are made, moved and removed with all in them', async (t) => {
  const { remote, there, changes } = await start(t);
  await remote.mkdir('here', 'x/empty');
  for (const key of ['x/1', 'x/y/2']) await put(remote, key);
  assert.equal((await remote.stat('here', 'x/empty')).kind, 'folder');
  assert.equal((await remote.stat('here', 'x/y')).kind, 'folder');
  assert.equal((await remote.stat('here', 'x/1')).kind, 'file');
  await assert.rejects(remote.stat('here', 'x/2'), { reason: 'no_such_key' });
  await remote.move('here', 'x', 'moved');
  assert.deepEqual(await listAll(remote, { limit: 1000 }), ['moved/1', 'moved/empty/', 'moved/y/2']);
  assert.deepEqual(changes.at(-1), {
    bucket: 'here',
    key: 'moved/',
    kind: 'move',
    fromKey: 'x/',
    sizeBytes: 0,
    mtimeMs: 0,
    etag: '',
  });
  await assert.rejects(remote.move('here', 'moved', 'moved/in'), { reason: 'key_conflict' });
  await assert.rejects(remote.removeFolder('here', 'moved'), { reason: 'folder_not_empty' });
  await remote.removeFolder('here', 'moved', { recursive: true });
  assert.deepEqual(await listAll(remote, { limit: 1000 }), []);
  assert.deepEqual(
    readdirSync(there.folder).filter((name) => !name.startsWith('.')),
    [],
  );
});

test('why it does not work is told', async (t) => {
  const { there } = await start(t);
  const list = (remote: FolderBackend) => remote.headBucket('here');
  await assert.rejects(list(connect(t, there.endpoint, { secret: 'wrong' }).remote), {
    reason: 'remote_credentials',
    code: 'unavailable',
  });
  await assert.rejects(list(connect(t, there.endpoint, { bucket: 'none' }).remote), { reason: 'remote_bucket_missing' });
  await assert.rejects(
    list(connect(t, await serve(t, (_request, response) => response.writeHead(200).end('<html></html>'))).remote),
    /./,
  );
});

test('a server that is busy or hangs up is asked again, when nothing is done twice by that', async (t) => {
  const asked: string[] = [];
  const endpoint = await serve(t, (request, response) => {
    asked.push(`${request.method}`);
    request.resume();
    if (asked.length === 1) request.socket.destroy();
    else if (asked.length === 2) response.writeHead(503).end('<Error><Code>SlowDown</Code></Error>');
    else response.writeHead(200).end('<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>');
  });
  const { remote } = connect(t, endpoint);
  const page = await remote.list('here', { prefix: '', delimiter: '', after: '', limit: 10 });
  assert.deepEqual([page.objects, asked.length], [[], 3]);
  asked.length = 0;
  await assert.rejects(put(remote, 'a', 'once'), { code: 'unavailable' });
  assert.deepEqual(asked, ['PUT']);
});
