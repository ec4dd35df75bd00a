import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { S3Client } from './testing/client.ts';
import { startTestS3 } from './testing/server.ts';

const keys = ['a.txt', 'a/1', 'a/2', 'a/b/3', 'a0', 'empty/', 'x y&z', 'é', 'ｚ', '😀'];

async function started(t: TestContext): Promise<{ client: S3Client; folder: string }> {
  const { client, folder } = await startTestS3(t);
  for (const key of keys) {
    mkdirSync(join(folder, key.endsWith('/') ? key : dirname(key)), { recursive: true });
    if (!key.endsWith('/')) writeFileSync(join(folder, key), key);
  }
  return { client, folder };
}

const values = (text: string, name: string): string[] =>
  [...text.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))].map((match) => (match[1] ?? '').replaceAll('&amp;', '&'));

test('ListObjectsV2_in_the_order_of_bytes', async (t) => {
  const { client } = await started(t);
  const { text } = await client.send('GET', '/photos', { query: { 'list-type': '2' } });
  assert.deepEqual(values(text, 'Key'), keys);
  assert.deepEqual([values(text, 'KeyCount'), values(text, 'IsTruncated'), values(text, 'Owner').length], [['10'], ['false'], 0]);
});

test('ListObjectsV2_pages_of_every_size', async (t) => {
  const { client } = await started(t);
  for (const delimiter of ['', '/', 'b', ' ']) {
    const whole = await client.send('GET', '/photos', { query: { 'list-type': '2', delimiter } });
    for (const size of [1, 2, 3, 9]) {
      const found: string[] = [];
      let token: string | undefined;
      do {
        const query: Record<string, string> = {
          'list-type': '2',
          delimiter,
          'max-keys': String(size),
          ...(token ? { 'continuation-token': token } : {}),
        };
        const { text } = await client.send('GET', '/photos', { query });
        const entries = [...values(text, 'Key'), ...prefixes(text)];
        assert.ok(entries.length <= size && entries.length === Number(values(text, 'KeyCount')[0]));
        found.push(...entries);
        [token] = values(text, 'NextContinuationToken');
      } while (token);
      assert.deepEqual(found.sort(), [...values(whole.text, 'Key'), ...prefixes(whole.text)].sort());
    }
  }
});

const prefixes = (text: string): string[] => values(text.replace(/^.*?(?=<CommonPrefixes>|$)/s, ''), 'Prefix');

test('ListObjectsV2_prefix_and_delimiter', async (t) => {
  const { client } = await started(t);
  const cases: readonly (readonly [query: Record<string, string>, found: readonly string[], groups: readonly string[]])[] = [
    [{ delimiter: '/' }, ['a.txt', 'a0', 'x y&z', 'é', 'ｚ', '😀'], ['a/', 'empty/']],
    [{ prefix: 'a/' }, ['a/1', 'a/2', 'a/b/3'], []],
    [{ prefix: 'a/', delimiter: '/' }, ['a/1', 'a/2'], ['a/b/']],
    [{ prefix: 'a', delimiter: '/' }, ['a.txt', 'a0'], ['a/']],
    [{ prefix: 'a/b/', delimiter: '/' }, ['a/b/3'], []],
    [{ prefix: 'empty/', delimiter: '/' }, ['empty/'], []],
    [{ prefix: 'none' }, [], []],
    [{ prefix: 'a/none/deep' }, [], []],
    [{ prefix: 'a.txt/' }, [], []],
    [{ delimiter: 'txt', prefix: 'a' }, ['a/1', 'a/2', 'a/b/3', 'a0'], ['a.txt']],
    [{ 'start-after': 'a/2' }, keys.slice(3), []],
    [{ 'start-after': 'a/b' }, keys.slice(3), []],
    [{ 'start-after': 'a/', delimiter: '/' }, ['a0', 'x y&z', 'é', 'ｚ', '😀'], ['empty/']],
    [{ 'start-after': 'zzz', prefix: 'a' }, [], []],
    [{ 'max-keys': '0' }, [], []],
  ];
  for (const [query, found, groups] of cases) {
    const { text } = await client.send('GET', '/photos', { query: { 'list-type': '2', ...query } });
    assert.deepEqual([values(text, 'Key'), prefixes(text)], [found, groups], JSON.stringify(query));
  }
});

test('ListObjects_version_1', async (t) => {
  const { client } = await started(t);
  const { text } = await client.send('GET', '/photos', { query: { delimiter: '/', 'max-keys': '2' } });
  assert.deepEqual([values(text, 'Key'), prefixes(text), values(text, 'NextMarker')], [['a.txt'], ['a/'], ['a/']]);
  const next = await client.send('GET', '/photos', { query: { delimiter: '/', 'max-keys': '2', marker: 'a/' } });
  assert.deepEqual([values(next.text, 'Key'), prefixes(next.text)], [['a0'], ['empty/']]);
});

test('ListObjects_encoding', async (t) => {
  const { client, folder } = await started(t);
  writeFileSync(join(folder, 'control\u0001'), '');
  const { text } = await client.send('GET', '/photos', { query: { 'encoding-type': 'url', prefix: 'x y' } });
  assert.deepEqual([values(text, 'Key'), values(text, 'Prefix')], [['x%20y%26z'], ['x y']]);
  assert.match((await client.send('GET', '/photos', { query: { prefix: 'control' } })).text, /<Key>control&#x1;<\/Key>/);
});

test('ListObjects_bad_parameters', async (t) => {
  const { client } = await started(t);
  for (const query of [{ 'max-keys': '-1' }, { 'max-keys': 'x' }, { 'encoding-type': 'x' }, { 'list-type': '3' }]) {
    assert.equal((await client.send('GET', '/photos', { query })).code, 'InvalidArgument');
  }
  assert.equal(
    (await client.send('GET', '/photos', { query: { 'list-type': '2', 'continuation-token': '!' } })).code,
    'InvalidArgument',
  );
  assert.equal((await client.send('GET', '/nowhere')).code, 'NoSuchBucket');
  assert.equal((await client.send('GET', '/UPPER')).code, 'InvalidBucketName');
});

test('ListObjects_sees_changes_by_other_programs_at_once', async (t) => {
  const { client, folder } = await startTestS3(t);
  for (let index = 0; index < 5; index++) {
    writeFileSync(join(folder, `${index}`), '');
    assert.equal(values((await client.send('GET', '/photos')).text, 'Key').length, index + 1);
  }
});

test('Buckets', async (t) => {
  const { client } = await startTestS3(t);
  assert.equal((await client.send('HEAD', '/photos')).status, 200);
  assert.equal((await client.send('HEAD', '/nowhere')).status, 404);
  assert.match(
    (await client.send('GET', '/photos', { query: { location: '' } })).text,
    /<LocationConstraint [^>]*><\/LocationConstraint>/,
  );
  assert.match(
    (await client.send('GET', '/photos', { query: { versioning: '' } })).text,
    /<VersioningConfiguration [^>]*><\/VersioningConfiguration>/,
  );
  assert.equal((await client.send('PUT', '/photos')).code, 'BucketAlreadyOwnedByYou');
  assert.equal((await client.send('DELETE', '/photos')).code, 'AccessDenied', 'a declared bucket is not deleted over S3');
  assert.deepEqual((await client.send('PUT', '/brand-new')).headers['location'], '/brand-new');
  assert.equal((await client.send('PUT', '/brand-new')).status, 200);
  for (const name of ['a..b', '192.168.5.4', 'xn--a'])
    assert.equal((await client.send('PUT', `/${name}`)).code, 'InvalidBucketName');
  const elsewhere = '<CreateBucketConfiguration><LocationConstraint>mars</LocationConstraint></CreateBucketConfiguration>';
  assert.equal((await client.send('PUT', '/third', { body: elsewhere })).code, 'IllegalLocationConstraintException');
  await client.send('PUT', '/brand-new/a', { body: '' });
  assert.equal((await client.send('DELETE', '/brand-new')).code, 'BucketNotEmpty');
  await client.send('DELETE', '/brand-new/a');
  assert.equal((await client.send('DELETE', '/brand-new')).status, 204);
  assert.equal((await client.send('HEAD', '/brand-new')).status, 404);
  for (const word of ['inventory', 'analytics', 'metrics'])
    assert.match(
      (await client.send('GET', '/photos', { query: { [word]: '' } })).text,
      new RegExp(`${word}&quot; is not implemented`),
    );
  assert.equal((await client.send('PATCH', '/photos/a')).code, 'MethodNotAllowed');
});
