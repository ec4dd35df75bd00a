import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createChecksum } from '#lib/checksum.ts';
import type { S3Client } from './testing/client.ts';
import { startTestS3 } from './testing/server.ts';

const md5 = (bytes: string | Uint8Array): string => createHash('md5').update(bytes).digest('hex');

async function create(client: S3Client, path: string, headers: Record<string, string> = {}): Promise<string> {
  const { text } = await client.send('POST', path, { query: { uploads: '' }, headers });
  const uploadId = /<UploadId>(\w+)</.exec(text)?.[1];
  assert.ok(uploadId, text);
  return uploadId;
}

const partQuery = (uploadId: string, partNumber: number): Record<string, string> => ({
  uploadId,
  partNumber: String(partNumber),
});

const completion = (parts: readonly (readonly [number, string | undefined, string?])[]): string =>
  `<CompleteMultipartUpload>${parts.map(([number, etag, more = '']) => `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag>${more}</Part>`).join('')}</CompleteMultipartUpload>`;

test('Multipart_whole_life', async (t) => {
  const { client, folder, changes } = await startTestS3(t, { partSizeBytesMin: 3 });
  const path = '/photos/deep/big';
  const uploadId = await create(client, path, { 'content-type': 'a/b', 'x-amz-meta-c': 'd' });
  const parts = new Map<number, string | undefined>();
  for (const [number, body] of [
    [2, 'world'],
    [1, 'first'],
    [1, 'hello '],
    [7, '!'],
  ] as const) {
    const { headers } = await client.send('PUT', path, { query: partQuery(uploadId, number), body });
    assert.equal(headers.etag, `"${md5(body)}"`);
    parts.set(number, headers.etag);
  }
  const listed = await client.send('GET', path, { query: { uploadId, 'max-parts': '2' } });
  assert.deepEqual(
    [...listed.text.matchAll(/<PartNumber>(\d+)/g)].map((match) => match[1]),
    ['1', '2'],
  );
  assert.match(listed.text, /<NextPartNumberMarker>2<.*<IsTruncated>true</s);
  assert.match(
    (await client.send('GET', '/photos', { query: { uploads: '' } })).text,
    new RegExp(`<Key>deep/big</Key><UploadId>${uploadId}<`),
  );
  assert.doesNotMatch((await client.send('GET', '/photos')).text, /<Key>/);

  const body = completion([
    [1, parts.get(1)],
    [2, parts.get(2)],
    [7, parts.get(7)],
  ]);
  const completed = await client.send('POST', path, { query: { uploadId }, body });
  const etag = `${md5(Buffer.from(md5('hello ') + md5('world') + md5('!'), 'hex'))}-3`;
  assert.match(completed.text, new RegExp(`<ETag>&quot;${etag}&quot;</ETag>`));
  const get = await client.send('GET', path);
  assert.deepEqual(
    [get.text, get.headers.etag, get.headers['content-type'], get.headers['x-amz-meta-c']],
    ['hello world!', `"${etag}"`, 'a/b', 'd'],
  );
  assert.deepEqual(readdirSync(join(folder, '.cellar', 'uploads', uploadId)), ['completed.json']);
  assert.deepEqual(readdirSync(join(folder, '.cellar', 'tmp')), []);
  assert.deepEqual(
    changes.map(({ kind, key, etag: found }) => [kind, key, found]),
    [['put', 'deep/big', etag]],
  );
  // A client that did not get the answer asks again; nothing else can be done with the upload.
  assert.equal((await client.send('POST', path, { query: { uploadId }, body })).text, completed.text);
  const other = completion([[1, parts.get(1)]]);
  assert.equal((await client.send('POST', path, { query: { uploadId }, body: other })).code, 'NoSuchUpload');
  for (const method of ['GET', 'DELETE']) {
    assert.equal((await client.send(method, path, { query: { uploadId } })).code, 'NoSuchUpload');
  }
});

test('CompleteMultipartUpload_refuses_wrong_parts', async (t) => {
  const { client, folder } = await startTestS3(t, { partSizeBytesMin: 3 });
  const path = '/photos/big';
  const uploadId = await create(client, path);
  for (const [number, body] of [
    [1, 'ab'],
    [2, 'abc'],
    [3, 'abc'],
  ] as const)
    await client.send('PUT', path, { query: partQuery(uploadId, number), body });
  const [short, full] = [`"${md5('ab')}"`, `"${md5('abc')}"`];
  const cases: readonly (readonly [string, string])[] = [
    [
      completion([
        [1, short],
        [2, full],
      ]),
      'EntityTooSmall',
    ],
    [
      completion([
        [3, full],
        [2, full],
      ]),
      'InvalidPartOrder',
    ],
    [completion([[2, short]]), 'InvalidPart'],
    [completion([[9, full]]), 'InvalidPart'],
    [completion([[2, full, '<ChecksumCRC32>AAAAAA==</ChecksumCRC32>']]), 'InvalidPart'],
    [completion([]), 'MalformedXML'],
    ['nonsense', 'MalformedXML'],
  ];
  for (const [body, code] of cases)
    assert.equal((await client.send('POST', path, { query: { uploadId }, body })).code, code, body);
  assert.equal(existsSync(join(folder, 'big')), false);
  assert.equal(
    (await client.send('POST', '/photos/else', { query: { uploadId }, body: completion([[2, full]]) })).code,
    'NoSuchUpload',
  );
  const conditional = { query: { uploadId }, body: completion([[2, full]]), headers: { 'if-none-match': '*' } };
  await client.send('PUT', path, { body: 'there' });
  assert.equal((await client.send('POST', path, conditional)).code, 'PreconditionFailed');
  assert.equal(readFileSync(join(folder, 'big'), 'utf8'), 'there');
});

test('AbortMultipartUpload', async (t) => {
  const { client, folder } = await startTestS3(t);
  const uploadId = await create(client, '/photos/a');
  await client.send('PUT', '/photos/a', { query: partQuery(uploadId, 1), body: 'x' });
  assert.equal((await client.send('DELETE', '/photos/a', { query: { uploadId } })).status, 204);
  assert.equal((await client.send('DELETE', '/photos/a', { query: { uploadId } })).code, 'NoSuchUpload');
  assert.equal((await client.send('PUT', '/photos/a', { query: partQuery(uploadId, 1), body: 'x' })).code, 'NoSuchUpload');
  assert.deepEqual(readdirSync(join(folder, '.cellar', 'uploads')), []);
});

test('UploadPart_bad_names', async (t) => {
  const { client } = await startTestS3(t);
  const uploadId = await create(client, '/photos/a');
  for (const number of [0, 10_001]) {
    assert.equal(
      (await client.send('PUT', '/photos/a', { query: partQuery(uploadId, number), body: 'x' })).code,
      'InvalidArgument',
    );
  }
  for (const wrong of ['../..', 'f'.repeat(32), '']) {
    assert.equal((await client.send('PUT', '/photos/a', { query: partQuery(wrong, 1), body: 'x' })).code, 'NoSuchUpload');
  }
});

test('UploadPartCopy', async (t) => {
  const { client } = await startTestS3(t, { isDenied: (operation, bucket) => operation === 'GetObject' && bucket === 'other' });
  await client.send('PUT', '/photos/source', { body: '0123456789' });
  const uploadId = await create(client, '/photos/a');
  const copy = (headers: Record<string, string>) =>
    client.send('PUT', '/photos/a', { query: partQuery(uploadId, 1), headers, body: '' });
  const source = { 'x-amz-copy-source': 'photos/source' };
  assert.equal((await copy({ ...source, 'x-amz-copy-source-range': 'bytes=5-10' })).code, 'InvalidRange');
  assert.equal((await copy({ ...source, 'x-amz-copy-source-range': 'bytes=5-' })).code, 'InvalidArgument');
  assert.equal((await copy({ 'x-amz-copy-source': 'other/x' })).code, 'AccessDenied');
  const copied = await copy({ ...source, 'x-amz-copy-source-range': 'bytes=2-4' });
  assert.match(copied.text, new RegExp(md5('234')));
  await client.send('POST', '/photos/a', { query: { uploadId }, body: completion([[1, `"${md5('234')}"`]]) });
  assert.equal((await client.send('GET', '/photos/a')).text, '234');
});

test('Multipart_checksums', async (t) => {
  const { client } = await startTestS3(t, { partSizeBytesMin: 1 });
  const sum = (text: string | Uint8Array): string => {
    const checksum = createChecksum('crc32c');
    checksum.update(Buffer.from(text));
    return checksum.digest().toString('base64');
  };
  for (const type of ['COMPOSITE', 'FULL_OBJECT']) {
    const path = `/photos/${type}`;
    const uploadId = await create(client, path, { 'x-amz-checksum-algorithm': 'CRC32C', 'x-amz-checksum-type': type });
    for (const [index, body] of ['one', 'two'].entries()) {
      const headers = { 'x-amz-checksum-crc32c': sum(body) };
      const part = await client.send('PUT', path, { query: partQuery(uploadId, index + 1), body, headers });
      assert.equal(part.headers['x-amz-checksum-crc32c'], sum(body));
    }
    const body = completion([
      [1, md5('one'), `<ChecksumCRC32C>${sum('one')}</ChecksumCRC32C>`],
      [2, md5('two')],
    ]);
    await client.send('POST', path, { query: { uploadId }, body });
    const { headers } = await client.send('HEAD', path, { headers: { 'x-amz-checksum-mode': 'ENABLED' } });
    const composite = `${sum(Buffer.concat([Buffer.from(sum('one'), 'base64'), Buffer.from(sum('two'), 'base64')]))}-2`;
    assert.deepEqual(
      [headers['x-amz-checksum-crc32c'], headers['x-amz-checksum-type']],
      [type === 'COMPOSITE' ? composite : sum('onetwo'), type],
    );
  }
});
