import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { S3Client } from '#s3/testing/client.ts';
import { startTestS3 } from '#s3/testing/server.ts';

const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');

function customer(key: Buffer, prefix = 'x-amz-server-side-encryption-customer-'): Record<string, string> {
  return {
    [`${prefix}algorithm`]: 'AES256',
    [`${prefix}key`]: key.toString('base64'),
    [`${prefix}key-md5`]: createHash('md5').update(key).digest('base64'),
  };
}

const sourceKey = (key: Buffer) => customer(key, 'x-amz-copy-source-server-side-encryption-customer-');
const keyA = Buffer.alloc(32, 1);
const keyB = Buffer.alloc(32, 2);
const sse = 'x-amz-server-side-encryption';
const word = 'a word nobody may read ';

interface Kind {
  readonly name: string;
  /** Of a write. */
  readonly write: Record<string, string>;
  /** Of a read. */
  readonly read: Record<string, string>;
  readonly source: Record<string, string>;
}

const plain: Kind = { name: 'plain', write: {}, read: {}, source: {} };
const kinds: readonly Kind[] = [
  { name: 'sse-s3', write: { [sse]: 'AES256' }, read: {}, source: {} },
  { name: 'sse-kms', write: { [sse]: 'aws:kms', [`${sse}-aws-kms-key-id`]: 'testkey-1' }, read: {}, source: {} },
  { name: 'sse-c', write: customer(keyA), read: customer(keyA), source: sourceKey(keyA) },
];

/** All bytes below a folder, ours included. */
function bytesBelow(folder: string): Buffer {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Buffer.concat(found.map((entry) => readFileSync(join(entry.parentPath, entry.name))));
}

async function upload(client: S3Client, path: string, parts: readonly Uint8Array[], { write, read }: Kind): Promise<string> {
  const { text } = await client.send('POST', path, { query: { uploads: '' }, headers: { ...write } });
  const uploadId = /<UploadId>(\w+)</.exec(text)?.[1] ?? assert.fail(text);
  const etags: string[] = [];
  for (const [index, body] of parts.entries()) {
    const query = { uploadId, partNumber: String(index + 1) };
    const sent = await client.send('PUT', path, { query, body, headers: { ...read } });
    assert.equal(sent.status, 200, sent.text);
    etags.push(sent.headers.etag ?? '');
  }
  const list = etags.map((etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${etag}</ETag></Part>`).join('');
  const body = `<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`;
  const done = await client.send('POST', path, { query: { uploadId }, body, headers: { ...read } });
  assert.equal(done.status, 200, done.text);
  return uploadId;
}

const ranges = [
  [0, 0],
  [65_535, 65_536],
  [100_000, 229_999],
  [299_999, 299_999],
] as const;

for (const kind of kinds) {
  test(`${kind.name}: nothing readable lies on the disk, and readers get what was written, in parts too`, async (t) => {
    const { client, folder } = await startTestS3(t);
    const content = Buffer.from(word.repeat(13_044)).subarray(0, 300_000);
    const put = await client.send('PUT', '/photos/a', { body: content, headers: { ...kind.write, 'x-amz-meta-m': 'told' } });
    assert.equal(put.status, 200, put.text);
    assert.equal(put.headers.etag === `"${md5(content)}"`, kind.name === 'sse-s3');
    assert.equal(bytesBelow(folder).includes(word.trim()), false);
    const get = await client.send('GET', '/photos/a', { headers: { ...kind.read } });
    assert.deepEqual([get.status, get.bytes.equals(content), get.headers['x-amz-meta-m']], [200, true, 'told']);
    for (const name of [sse, `${sse}-aws-kms-key-id`, `${sse}-customer-algorithm`, `${sse}-customer-key-md5`]) {
      assert.equal(get.headers[name], kind.write[name], name);
      assert.equal(put.headers[name], kind.write[name], name);
    }
    for (const [first, last] of ranges) {
      const part = await client.send('GET', '/photos/a', { headers: { ...kind.read, range: `bytes=${first}-${last}` } });
      assert.deepEqual([part.status, part.bytes.equals(content.subarray(first, last + 1))], [206, true]);
    }
    const head = await client.send('HEAD', '/photos/a', { headers: { ...kind.read } });
    assert.deepEqual([head.status, head.headers['content-length']], [200, '300000']);
    const list = await client.send('GET', '/photos', { query: { 'list-type': '2' } });
    assert.match(list.text, /<Size>300000</);
    for (const [key, body] of [
      ['empty', ''],
      ['one', 'x'],
    ] as const) {
      await client.send('PUT', `/photos/${key}`, { body, headers: { ...kind.write } });
      assert.equal((await client.send('GET', `/photos/${key}`, { headers: { ...kind.read } })).text, body);
    }
  });

  test(`${kind.name}: an upload is encrypted part by part`, async (t) => {
    const { client, folder } = await startTestS3(t, { partSizeBytesMin: 1_000 });
    const parts = [200_000, 200_000, 5].map((size, index) => Buffer.alloc(size, `${word}${index}`));
    const whole = Buffer.concat(parts);
    await upload(client, '/photos/big', parts, kind);
    assert.equal(bytesBelow(folder).includes(word.trim()), false);
    const get = await client.send('GET', '/photos/big', { headers: { ...kind.read } });
    assert.deepEqual([get.bytes.equals(whole), get.headers.etag?.endsWith('-3"')], [true, true]);
    for (const [first, last] of [...ranges, [199_999, 200_000], [399_999, 400_004]] as const) {
      const part = await client.send('GET', '/photos/big', { headers: { ...kind.read, range: `bytes=${first}-${last}` } });
      assert.ok(part.bytes.equals(whole.subarray(first, last + 1)), `${first}-${last}`);
    }
    const second = await client.send('GET', '/photos/big', { query: { partNumber: '2' }, headers: { ...kind.read } });
    assert.ok(second.bytes.equals(parts[1]!));
  });

  test(`${kind.name}: a file that another program has touched, moved or restored opens still; one it has changed does not`, async (t) => {
    const { client, folder } = await startTestS3(t, { partSizeBytesMin: 1_000 });
    const content = randomBytes(150_000);
    await client.send('PUT', '/photos/a', { body: content, headers: { ...kind.write } });
    await upload(client, '/photos/parts', [content, content], kind);
    utimesSync(join(folder, 'a'), 1, 1);
    renameSync(join(folder, 'parts'), join(folder, 'moved'));
    const read = async (key: string) => (await client.send('GET', `/photos/${key}`, { headers: { ...kind.read } })).bytes;
    assert.ok((await read('a')).equals(content));
    assert.ok((await read('moved')).equals(Buffer.concat([content, content])));
    const bytes = readFileSync(join(folder, 'a'));
    bytes[100_000] = bytes[100_000]! ^ 1;
    writeFileSync(join(folder, 'a'), bytes);
    // What was sent before the damage was met is followed by the end of the connection.
    const cut = await read('a').catch(() => Buffer.alloc(0));
    assert.ok(cut.length < content.length);
  });
}

test("a client's own key: without it, or with another, nothing is read", async (t) => {
  const { client } = await startTestS3(t);
  await client.send('PUT', '/photos/a', { body: 'secret', headers: customer(keyA) });
  for (const method of ['GET', 'HEAD']) {
    assert.equal((await client.send(method, '/photos/a')).status, 400);
    assert.equal((await client.send(method, '/photos/a', { headers: customer(keyB) })).status >= 400, true);
  }
});

test('keys of KMS are those that are named', async (t) => {
  const { client, folder } = await startTestS3(t);
  const put = (keyId: string) =>
    client.send('PUT', '/photos/a', { body: 'x', headers: { [sse]: 'aws:kms', [`${sse}-aws-kms-key-id`]: keyId } });
  assert.match((await put('other')).text, /<Code>KMS.NotFoundException</);
  assert.equal(existsSync(join(folder, 'a')), false);
  assert.equal((await put('testkey-2')).status, 200);
  const preset = await client.send('PUT', '/photos/b', { body: 'x', headers: { [sse]: 'aws:kms' } });
  assert.equal(preset.headers[`${sse}-aws-kms-key-id`], 'aws/s3');
});

test('a bucket encrypts by itself what is written to it, also past S3', async (t) => {
  const { client, folder, backend } = await startTestS3(t, { partSizeBytesMin: 1_000 });
  await backend.changeBucketSettings('photos', (settings) => ({ ...settings, encryption: { algorithm: 'AES256' } }));
  const body = {
    bytes: (async function* () {
      yield Buffer.from(word);
    })(),
    sizeBytes: word.length,
    verify: async () => ({ md5Hex: md5(Buffer.from(word)), checksums: {} }),
  };
  await backend.put({ bucket: 'photos', key: 'a' }, body, {});
  await upload(client, '/photos/b', [Buffer.from(word.repeat(100)), Buffer.from(word)], plain);
  assert.equal(bytesBelow(folder).includes(word.trim()), false);
  assert.equal((await client.send('GET', '/photos/a')).text, word);
  assert.equal((await client.send('GET', '/photos/a')).headers[sse], 'AES256');
});

for (const from of [plain, ...kinds]) {
  for (const to of [plain, ...kinds]) {
    test(`copied from ${from.name} to ${to.name}, whole and in parts`, async (t) => {
      const { client, folder, backend } = await startTestS3(t, { partSizeBytesMin: 1_000 });
      const content = Buffer.from(word.repeat(5_000));
      await client.send('PUT', '/photos/a', { body: content, headers: { ...from.write, 'x-amz-meta-m': 'kept' } });
      await upload(client, '/photos/parts', [content, content], from);
      for (const [source, expected] of [
        ['a', content],
        ['parts', Buffer.concat([content, content])],
      ] as const) {
        const headers = { ...to.write, ...from.source, 'x-amz-copy-source': `/photos/${source}` };
        const copied = await client.send('PUT', '/other/b', { headers });
        assert.equal(copied.status, 200, copied.text);
        const get = await client.send('GET', '/other/b', { headers: { ...to.read } });
        assert.ok(get.bytes.equals(expected));
        assert.equal(get.headers[sse], to.write[sse]);
        assert.equal((await backend.head({ bucket: 'other', key: 'b' })).parts, undefined);
        const isReadable = bytesBelow(join(folder, '../other')).includes(word.trim());
        assert.equal(isReadable, to === plain);
      }
      const { text } = await client.send('POST', '/other/c', { query: { uploads: '' }, headers: { ...to.write } });
      const uploadId = /<UploadId>(\w+)</.exec(text)?.[1] ?? '';
      const query = { uploadId, partNumber: '1' };
      const headers = {
        ...to.read,
        ...from.source,
        'x-amz-copy-source': '/photos/a',
        'x-amz-copy-source-range': 'bytes=10-109999',
      };
      const part = await client.send('PUT', '/other/c', { query, headers });
      const etag = /<ETag>(.*)<\/ETag>/.exec(part.text)?.[1];
      const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${etag}</ETag></Part></CompleteMultipartUpload>`;
      await client.send('POST', '/other/c', { query: { uploadId }, body, headers: { ...to.read } });
      const get = await client.send('GET', '/other/c', { headers: { ...to.read } });
      assert.ok(get.bytes.equals(content.subarray(10, 110_000)));
    });
  }
}

test('onto itself only what is beside the bytes is written', async (t) => {
  const { client, folder, changes } = await startTestS3(t);
  for (const kind of [plain, kinds[0]!]) {
    await client.send('PUT', '/photos/a', {
      body: 'content',
      headers: { ...kind.write, 'x-amz-meta-old': '1', 'x-amz-tagging': 'a=b' },
    });
    const { ino, mtimeMs } = statSync(join(folder, 'a'));
    const before = changes.length;
    const headers = {
      ...kind.write,
      'x-amz-copy-source': '/photos/a',
      'x-amz-metadata-directive': 'REPLACE',
      'x-amz-meta-new': '2',
    };
    assert.equal((await client.send('PUT', '/photos/a', { headers })).status, 200);
    const after = statSync(join(folder, 'a'));
    assert.deepEqual([after.ino, after.mtimeMs, changes.length], [ino, mtimeMs, before + 1]);
    const get = await client.send('GET', '/photos/a');
    assert.deepEqual(
      [get.text, get.headers['x-amz-meta-old'], get.headers['x-amz-meta-new'], get.headers['x-amz-tagging-count']],
      ['content', undefined, '2', '1'],
    );
  }
  // Encrypted as it was not before, it is written anew.
  const headers = { ...kinds[1]!.write, 'x-amz-copy-source': '/photos/a' };
  assert.equal((await client.send('PUT', '/photos/a', { headers })).status, 200);
  assert.equal((await client.send('GET', '/photos/a')).text, 'content');
});
