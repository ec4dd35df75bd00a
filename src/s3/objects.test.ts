import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startTestS3 } from './testing/server.ts';

const md5 = (text: string | Uint8Array, encoding: 'hex' | 'base64' = 'hex'): string =>
  createHash('md5').update(text).digest(encoding);

test('PutObject_and_GetObject_return_the_same', async (t) => {
  const { client, folder, changes } = await startTestS3(t);
  const headers = {
    'content-type': 'text/x-test',
    'x-amz-meta-color': 'blue',
    'cache-control': 'no-cache',
    'content-md5': md5('hello', 'base64'),
  };
  const put = await client.send('PUT', '/photos/a b/ü+.txt', { body: 'hello', headers });
  assert.equal(put.status, 200, put.text);
  assert.equal(put.headers.etag, `"${md5('hello')}"`);
  assert.equal(readFileSync(join(folder, 'a b', 'ü+.txt'), 'utf8'), 'hello');
  const get = await client.send('GET', '/photos/a b/ü+.txt');
  assert.equal(get.text, 'hello');
  assert.deepEqual(
    ['etag', 'content-type', 'x-amz-meta-color', 'cache-control', 'content-length', 'accept-ranges'].map(
      (name) => get.headers[name],
    ),
    [`"${md5('hello')}"`, 'text/x-test', 'blue', 'no-cache', '5', 'bytes'],
  );
  const head = await client.send('HEAD', '/photos/a b/ü+.txt');
  assert.deepEqual([head.status, head.text, head.headers['content-length']], [200, '', '5']);
  assert.ok(head.headers['x-amz-request-id']);
  assert.deepEqual(
    changes.map(({ key, kind, sizeBytes, etag }) => ({ key, kind, sizeBytes, etag })),
    [{ key: 'a b/ü+.txt', kind: 'put', sizeBytes: 5, etag: md5('hello') }],
  );
  assert.deepEqual(readdirSync(join(folder, '.cellar', 'tmp')), []);
});

test('PutObject_missing_bucket', async (t) => {
  const { client } = await startTestS3(t);
  const answer = await client.send('PUT', '/nowhere/a', { body: 'x' });
  assert.deepEqual([answer.status, answer.code], [404, 'NoSuchBucket']);
});

test('PutObject_tampered_body', async (t) => {
  const { client, folder } = await startTestS3(t);
  const headers = client.sign('PUT', '/photos/a', { body: 'hello' });
  const answer = await client.sendRaw('PUT', '/photos/a', { ...headers, 'content-length': '5' }, 'jello');
  assert.equal(answer.code, 'XAmzContentSHA256Mismatch');
  assert.equal(existsSync(join(folder, 'a')), false);
  assert.deepEqual(readdirSync(join(folder, '.cellar', 'tmp')), []);
});

test('PutObject_wrong_digests', async (t) => {
  const { client, folder } = await startTestS3(t);
  const cases: readonly (readonly [Record<string, string>, string])[] = [
    [{ 'content-md5': md5('other', 'base64') }, 'BadDigest'],
    [{ 'content-md5': 'nonsense' }, 'InvalidDigest'],
    [{ 'x-amz-checksum-crc32': 'AAAAAA==' }, 'BadDigest'],
    [{ 'x-amz-checksum-crc32': 'AA==' }, 'BadDigest'],
    [{ 'x-amz-checksum-crc32': 'NhCmhg==', 'x-amz-checksum-sha1': 'AAAA' }, 'InvalidRequest'],
    [{ 'x-amz-server-side-encryption': 'rot13' }, 'InvalidArgument'],
    [{ 'x-amz-acl': 'public-read' }, 'AccessControlListNotSupported'],
    [{ 'x-amz-storage-class': 'DEEP_ARCHIVE' }, 'InvalidStorageClass'],
    [{ 'x-amz-tagging': 'aws:a=b' }, 'InvalidTag'],
    [{ 'x-amz-meta-big': 'x'.repeat(3_000) }, 'MetadataTooLarge'],
  ];
  for (const [headers, code] of cases)
    assert.equal((await client.send('PUT', '/photos/a', { body: 'hello', headers })).code, code);
  assert.equal(existsSync(join(folder, 'a')), false);
});

test('PutObject_checksum_is_kept_and_returned_on_request', async (t) => {
  const { client } = await startTestS3(t);
  const put = await client.send('PUT', '/photos/a', { body: 'hello', headers: { 'x-amz-checksum-crc32': 'NhCmhg==' } });
  assert.deepEqual([put.status, put.headers['x-amz-checksum-crc32']], [200, 'NhCmhg==']);
  const get = await client.send('GET', '/photos/a', { headers: { 'x-amz-checksum-mode': 'ENABLED' } });
  assert.deepEqual([get.headers['x-amz-checksum-crc32'], get.headers['x-amz-checksum-type']], ['NhCmhg==', 'FULL_OBJECT']);
  assert.equal((await client.send('GET', '/photos/a')).headers['x-amz-checksum-crc32'], undefined);
});

test('PutObject_conditions', async (t) => {
  const { client } = await startTestS3(t);
  const put = (headers: Record<string, string>, body = 'x') => client.send('PUT', '/photos/a', { body, headers });
  assert.equal((await put({ 'if-match': '"nothing"' })).code, 'NoSuchKey');
  assert.equal((await put({ 'if-none-match': '*' })).status, 200);
  assert.equal((await put({ 'if-none-match': '*' })).code, 'PreconditionFailed');
  assert.equal((await put({ 'if-match': '"wrong"' })).code, 'PreconditionFailed');
  assert.equal((await put({ 'if-match': `"${md5('x')}"` }, 'y')).status, 200);
});

test('PutObject_if_none_match_only_one_of_many_wins', async (t) => {
  const { client } = await startTestS3(t);
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, index) =>
      client.send('PUT', '/photos/one', { body: `${index}`, headers: { 'if-none-match': '*' } }),
    ),
  );
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array.from({ length: 9 }, () => 412)]);
});

test('PutObject_keys_that_cannot_be_file_names', async (t) => {
  const { client, folder } = await startTestS3(t);
  writeFileSync(join(folder, 'file'), 'x');
  mkdirSync(join(folder, 'folder'));
  const keys = ['../x', 'a/../x', 'a//b', '/a', './a', '.cellar/tmp/a', 'a/', 'file/below', 'folder', 'a'.repeat(256)];
  for (const key of keys) {
    const path = `/photos/${key}`;
    assert.equal((await client.send('PUT', path, { body: key })).status, 200, key);
    assert.equal((await client.send('GET', path)).text, key);
  }
  assert.equal((await client.send('PUT', `/photos/${'a/'.repeat(600)}`, { body: 'x' })).code, 'KeyTooLongError');
  assert.deepEqual(readdirSync(folder).sort(), ['.cellar', 'file', 'folder']);
  assert.deepEqual(readdirSync(join(folder, '.cellar/tmp')), []);
  const { text } = await client.send('GET', '/photos', { query: { 'encoding-type': 'url' } });
  const listed = [...text.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => decodeURIComponent(key ?? ''));
  assert.deepEqual(listed, [...keys, 'file', 'folder/'].sort());
  for (const key of keys) assert.equal((await client.send('DELETE', `/photos/${key}`)).status, 204);
  assert.deepEqual(
    readdirSync(join(folder, '.cellar/keys'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()),
    [],
  );
});

test('PutObject_without_length', async (t) => {
  const { client } = await startTestS3(t);
  const headers = client.sign('PUT', '/photos/a', { payloadHash: 'UNSIGNED-PAYLOAD' });
  const answer = await client.sendRaw('PUT', '/photos/a', { ...headers, 'transfer-encoding': 'chunked' }, 'hello');
  assert.deepEqual([answer.status, answer.code], [411, 'MissingContentLength']);
});

test('PutObject_too_large', async (t) => {
  const { client } = await startTestS3(t, { limits: { bodySizeBytesMax: 4 } });
  assert.equal((await client.send('PUT', '/photos/a', { body: 'hello' })).code, 'EntityTooLarge');
});

test('Symbolic_links_are_not_followed', async (t) => {
  const { client, folder } = await startTestS3(t);
  const secret = join(folder, '..', 'other', 'secret');
  writeFileSync(secret, 'secret');
  symlinkSync(secret, join(folder, 'link'));
  symlinkSync(join(folder, '..', 'other'), join(folder, 'door'));
  assert.equal((await client.send('GET', '/photos/link')).code, 'NoSuchKey');
  assert.equal((await client.send('GET', '/photos/door/secret')).code, 'NoSuchKey');
  assert.equal((await client.send('PUT', '/photos/door/new', { body: 'x' })).status, 200);
  assert.deepEqual(readdirSync(join(folder, '..', 'other')), ['secret']);
  assert.equal((await client.send('DELETE', '/photos/door/new')).status, 204);
  assert.equal((await client.send('DELETE', '/photos/door/secret')).status, 204);
  assert.equal(readFileSync(secret, 'utf8'), 'secret');
  assert.doesNotMatch((await client.send('GET', '/photos')).text, /<Key>/);
});

test('GetObject_ranges', async (t) => {
  const { client } = await startTestS3(t);
  await client.send('PUT', '/photos/a', { body: '0123456789' });
  const cases: readonly (readonly [string, number, string, string | undefined])[] = [
    ['bytes=0-3', 206, '0123', 'bytes 0-3/10'],
    ['bytes=5-', 206, '56789', 'bytes 5-9/10'],
    ['bytes=-2', 206, '89', 'bytes 8-9/10'],
    ['bytes=8-99', 206, '89', 'bytes 8-9/10'],
    ['bytes=0-1,4-5', 200, '0123456789', undefined],
    ['lines=1-2', 200, '0123456789', undefined],
  ];
  for (const [range, status, text, contentRange] of cases) {
    const answer = await client.send('GET', '/photos/a', { headers: { range } });
    assert.deepEqual([answer.status, answer.text, answer.headers['content-range']], [status, text, contentRange]);
  }
  const { etag, 'last-modified': modified } = (await client.send('HEAD', '/photos/a')).headers;
  for (const [ifRange, status] of [
    [String(etag), 206],
    [String(modified), 206],
    ['"other"', 200],
    [`W/${etag}`, 200],
    ['Mon, 01 Jan 2001 00:00:00 GMT', 200],
  ] as const)
    assert.equal(
      (await client.send('GET', '/photos/a', { headers: { range: 'bytes=0-0', 'if-range': ifRange } })).status,
      status,
      ifRange,
    );
  const missed = await client.send('GET', '/photos/a', { headers: { range: 'bytes=10-' } });
  assert.deepEqual([missed.status, missed.code, missed.headers['content-range']], [416, 'InvalidRange', 'bytes */10']);
});

test('GetObject_large_is_streamed_whole', async (t) => {
  const { client } = await startTestS3(t);
  const body = Buffer.alloc(3_000_001, 'cellar');
  await client.send('PUT', '/photos/big', { body });
  assert.ok((await client.send('GET', '/photos/big')).bytes.equals(body));
  const part = await client.send('GET', '/photos/big', { headers: { range: 'bytes=7-2000000' } });
  assert.ok(part.bytes.equals(body.subarray(7, 2_000_001)));
});

test('GetObject_conditions_and_overrides', async (t) => {
  const { client } = await startTestS3(t);
  const { headers } = await client.send('PUT', '/photos/a', { body: 'x' });
  const etag = headers.etag ?? '';
  const get = (conditions: Record<string, string>) => client.send('GET', '/photos/a', { headers: conditions });
  const notModified = await get({ 'if-none-match': etag });
  assert.deepEqual([notModified.status, notModified.text, notModified.headers.etag], [304, '', etag]);
  assert.equal((await get({ 'if-match': '"wrong"' })).code, 'PreconditionFailed');
  assert.equal((await get({ 'if-modified-since': new Date(Date.now() + 60_000).toUTCString() })).status, 304);
  assert.equal((await get({ 'if-unmodified-since': new Date(0).toUTCString() })).code, 'PreconditionFailed');
  const override = await client.send('GET', '/photos/a', {
    query: { 'response-content-disposition': 'attachment; filename="ü"' },
  });
  assert.equal(Buffer.from(override.headers['content-disposition'] ?? '', 'latin1').toString(), 'attachment; filename="ü"');
});

test('GetObject_missing', async (t) => {
  const { client } = await startTestS3(t);
  assert.equal((await client.send('GET', '/photos/none')).code, 'NoSuchKey');
  const head = await client.send('HEAD', '/photos/none');
  assert.deepEqual([head.status, head.text], [404, '']);
});

test('GetObject_of_a_file_written_by_another_program', async (t) => {
  const { client, folder } = await startTestS3(t);
  await client.send('PUT', '/photos/a.txt', { body: 'ours', headers: { 'x-amz-meta-a': 'b', 'content-type': 'x/y' } });
  writeFileSync(join(folder, 'a.txt'), 'theirs');
  const { headers, text } = await client.send('GET', '/photos/a.txt');
  assert.equal(text, 'theirs');
  assert.match(headers.etag ?? '', /^"[0-9a-f]{32}-0"$/);
  assert.deepEqual([headers['content-type'], headers['x-amz-meta-a']], ['text/plain', undefined]);
});

test('DeleteObject_takes_away_folders_it_does_not_need', async (t) => {
  const { client, folder, changes } = await startTestS3(t);
  mkdirSync(join(folder, 'mine'));
  for (const key of ['deep/er/a', 'deep/er/b', 'mine/x/c']) await client.send('PUT', `/photos/${key}`, { body: key });
  await client.send('DELETE', '/photos/deep/er/a');
  assert.ok(existsSync(join(folder, 'deep', 'er')));
  assert.equal((await client.send('DELETE', '/photos/deep/er/b')).status, 204);
  assert.equal(existsSync(join(folder, 'deep')), false);
  await client.send('DELETE', '/photos/mine/x/c');
  assert.ok(existsSync(join(folder, 'mine')), 'a folder that somebody made stays');
  assert.equal((await client.send('DELETE', '/photos/none/at/all')).status, 204);
  assert.deepEqual(
    changes.filter(({ kind }) => kind === 'delete').map(({ key }) => key),
    ['deep/er/a', 'deep/er/b', 'deep/er/', 'deep/', 'mine/x/c', 'mine/x/'],
  );
});

test('Folder_markers', async (t) => {
  const { client, folder } = await startTestS3(t);
  assert.equal((await client.send('PUT', '/photos/dir/', { body: '' })).status, 200);
  await client.send('PUT', '/photos/dir/a', { body: 'x' });
  await client.send('DELETE', '/photos/dir/a');
  assert.ok(existsSync(join(folder, 'dir')));
  const head = await client.send('HEAD', '/photos/dir/');
  assert.deepEqual(
    [head.status, head.headers['content-length'], head.headers['content-type']],
    [200, '0', 'application/x-directory'],
  );
  assert.equal((await client.send('GET', '/photos/dir')).code, 'NoSuchKey');
  await client.send('DELETE', '/photos/dir/');
  assert.equal(existsSync(join(folder, 'dir')), false);
});

test('DeleteObjects_each_has_its_own_result', async (t) => {
  const { client } = await startTestS3(t, {
    isDenied: (operation, _bucket, key) => operation === 'DeleteObject' && key === 'kept',
  });
  for (const key of ['a&b', 'kept', 'c']) await client.send('PUT', `/photos/${key}`, { body: key });
  const body =
    '<Delete><Object><Key>a&amp;b</Key></Object><Object><Key>kept</Key></Object><Object><Key>../x</Key></Object></Delete>';
  const answer = await client.send('POST', '/photos', { query: { delete: '' }, body });
  assert.match(answer.text, /<Deleted><Key>a&amp;b<\/Key><\/Deleted><Error><Key>kept<\/Key><Code>AccessDenied<\/Code>/);
  assert.match(answer.text, /<Deleted><Key>..\/x<\/Key><\/Deleted>/);
  const quiet = await client.send('POST', '/photos', {
    query: { delete: '' },
    body: '<Delete><Quiet>true</Quiet><Object><Key>c</Key></Object></Delete>',
  });
  assert.doesNotMatch(quiet.text, /Deleted/);
  for (const bad of [
    '',
    '<Delete>',
    '<Other/>',
    '<Delete/>',
    '<!DOCTYPE a [<!ENTITY b "c">]><Delete><Object><Key>&b;</Key></Object></Delete>',
  ]) {
    assert.equal((await client.send('POST', '/photos', { query: { delete: '' }, body: bad })).code, 'MalformedXML', bad);
  }
});

test('CopyObject', async (t) => {
  const { client } = await startTestS3(t, { isDenied: (operation, bucket) => operation === 'GetObject' && bucket === 'other' });
  await client.send('PUT', '/photos/a b', { body: 'hello', headers: { 'x-amz-meta-a': 'b' } });
  const copy = (headers: Record<string, string>, to = '/photos/copy') => client.send('PUT', to, { headers, body: '' });
  const source = { 'x-amz-copy-source': '/photos/a%20b' };
  const copied = await copy(source);
  assert.match(copied.text, /<CopyObjectResult.*5d41402abc4b2a76b9719d911017c592/);
  assert.equal((await client.send('GET', '/photos/copy')).headers['x-amz-meta-a'], 'b');
  await copy({ ...source, 'x-amz-metadata-directive': 'REPLACE', 'x-amz-meta-c': 'd' });
  const { headers } = await client.send('HEAD', '/photos/copy');
  assert.deepEqual([headers['x-amz-meta-a'], headers['x-amz-meta-c']], [undefined, 'd']);
  assert.equal((await copy(source, '/photos/a b')).code, 'InvalidRequest');
  assert.equal((await copy({ ...source, 'x-amz-copy-source-if-none-match': '*' })).code, 'PreconditionFailed');
  assert.equal((await copy({ 'x-amz-copy-source': 'photos/none' })).code, 'NoSuchKey');
  assert.equal((await copy({ 'x-amz-copy-source': 'other/x' })).code, 'AccessDenied');
  assert.equal((await copy({ 'x-amz-copy-source': 'nonsense' })).code, 'InvalidArgument');
});
