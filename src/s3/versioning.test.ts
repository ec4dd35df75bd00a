import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { S3Client } from './testing/client.ts';
import { startTestS3 } from './testing/server.ts';

const values = (text: string, name: string): string[] =>
  [...text.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))].map((match) => match[1] ?? '');

async function setVersioning(client: S3Client, status: string) {
  const body = `<VersioningConfiguration><Status>${status}</Status></VersioningConfiguration>`;
  return await client.send('PUT', '/photos', { query: { versioning: '' }, body });
}

const put = async (client: S3Client, path: string, body: string): Promise<string> =>
  String((await client.send('PUT', path, { body })).headers['x-amz-version-id']);

test('PutBucketVersioning', async (t) => {
  const { client } = await startTestS3(t);
  const get = async () => values((await client.send('GET', '/photos', { query: { versioning: '' } })).text, 'Status');
  assert.deepEqual(await get(), []);
  assert.equal((await setVersioning(client, 'On')).code, 'IllegalVersioningConfigurationException');
  for (const status of ['Enabled', 'Suspended']) {
    assert.equal((await setVersioning(client, status)).status, 200);
    assert.deepEqual(await get(), [status]);
  }
});

test('Versions_are_kept_read_and_deleted', async (t) => {
  const { client } = await startTestS3(t);
  assert.equal(await put(client, '/photos/a', 'zero'), 'undefined');
  await setVersioning(client, 'Enabled');
  const first = await put(client, '/photos/a', 'one');
  const second = await put(client, '/photos/a', 'two');
  assert.notEqual(first, second);
  const read = async (versionId?: string) => {
    const { status, text, code, headers } = await client.send('GET', '/photos/a', versionId ? { query: { versionId } } : {});
    return { status, text: status === 200 ? text : code, version: headers['x-amz-version-id'] };
  };
  assert.deepEqual(await read(), { status: 200, text: 'two', version: second });
  assert.deepEqual(await read(first), { status: 200, text: 'one', version: first });
  assert.deepEqual(await read('null'), { status: 200, text: 'zero', version: 'null' });
  assert.equal((await read('nonsense')).text, 'NoSuchVersion');
  assert.equal((await client.send('GET', '/photos/a', { query: { versionId: '' } })).code, 'InvalidArgument');

  const removed = await client.send('DELETE', '/photos/a');
  const marker = String(removed.headers['x-amz-version-id']);
  assert.deepEqual([removed.status, removed.headers['x-amz-delete-marker']], [204, 'true']);
  const gone = await client.send('GET', '/photos/a');
  assert.deepEqual(
    [gone.code, gone.headers['x-amz-delete-marker'], gone.headers['x-amz-version-id']],
    ['NoSuchKey', 'true', marker],
  );
  const ofMarker = await client.send('GET', '/photos/a', { query: { versionId: marker } });
  assert.deepEqual(
    [ofMarker.status, ofMarker.code, ofMarker.headers['x-amz-delete-marker'], ofMarker.headers.allow],
    [405, 'MethodNotAllowed', 'true', 'DELETE'],
  );
  const unmarked = await client.send('DELETE', '/photos/a', { query: { versionId: marker } });
  assert.deepEqual([unmarked.headers['x-amz-version-id'], unmarked.headers['x-amz-delete-marker']], [marker, 'true']);
  assert.equal((await read()).text, 'two');
  await client.send('DELETE', '/photos/a', { query: { versionId: second } });
  assert.equal((await read()).text, 'one');
});

test('ListObjectVersions_in_pages', async (t) => {
  const { client } = await startTestS3(t);
  await setVersioning(client, 'Enabled');
  const a = [await put(client, '/photos/a', '1'), await put(client, '/photos/a', '2')];
  await put(client, '/photos/dir/b', '3');
  await put(client, '/photos/dir/c', '4');
  const marker = String((await client.send('DELETE', '/photos/a')).headers['x-amz-version-id']);
  const last = await put(client, '/photos/z&', '5');
  const whole = await client.send('GET', '/photos', { query: { versions: '', delimiter: '/' } });
  assert.deepEqual(values(whole.text, 'VersionId'), [marker, ...a.toReversed(), last]);
  assert.deepEqual(values(whole.text, 'IsLatest'), ['true', 'false', 'false', 'true']);
  assert.match(whole.text, /<DeleteMarker><Key>a<\/Key>.*<CommonPrefixes><Prefix>dir\/<\/Prefix>/);
  const seen: string[] = [];
  let query: Record<string, string> = { versions: '', 'max-keys': '2' };
  for (let page = 0; page < 10; page++) {
    const { text } = await client.send('GET', '/photos', { query });
    seen.push(...values(text, 'Key').map((key, at) => `${key} ${values(text, 'VersionId')[at]}`));
    if (values(text, 'IsTruncated')[0] === 'false') break;
    query = {
      ...query,
      'key-marker': values(text, 'NextKeyMarker')[0] ?? '',
      'version-id-marker': values(text, 'NextVersionIdMarker')[0] ?? '',
    };
  }
  assert.equal(seen.length, 6);
  assert.equal(new Set(seen).size, 6);
  const alone = await client.send('GET', '/photos', { query: { versions: '', 'version-id-marker': 'x' } });
  assert.equal(alone.code, 'InvalidArgument');
});

test('CopyObject_of_a_version', async (t) => {
  const { client } = await startTestS3(t);
  await setVersioning(client, 'Enabled');
  const first = await put(client, '/photos/a', 'one');
  await put(client, '/photos/a', 'two');
  const headers = { 'x-amz-copy-source': `/photos/a?versionId=${first}` };
  const copied = await client.send('PUT', '/photos/a', { headers, body: '' });
  assert.deepEqual([copied.status, copied.headers['x-amz-copy-source-version-id']], [200, first], copied.text);
  assert.equal((await client.send('GET', '/photos/a')).text, 'one');
  const marker = String((await client.send('DELETE', '/photos/a')).headers['x-amz-version-id']);
  const copy = (source: string) =>
    client.send('PUT', '/photos/b', { headers: { 'x-amz-copy-source': source }, body: '' }).then(({ code }) => code);
  assert.equal(await copy('/photos/a'), 'NoSuchKey');
  assert.equal(await copy(`/photos/a?versionId=${marker}`), 'InvalidRequest');
});

test('DeleteObjects_of_versions_and_with_conditions', async (t) => {
  const { client } = await startTestS3(t);
  await setVersioning(client, 'Enabled');
  const version = await put(client, '/photos/a', '1');
  await put(client, '/photos/b', '2');
  const body = `<Delete>
    <Object><Key>a</Key><VersionId>${version}</VersionId></Object>
    <Object><Key>b</Key><ETag>"wrong"</ETag></Object>
    <Object><Key>b</Key><Size>1</Size></Object>
    <Object><Key>none</Key><ETag>*</ETag></Object>
  </Delete>`;
  const { text } = await client.send('POST', '/photos', { query: { delete: '' }, body });
  assert.match(text, new RegExp(`<Deleted><Key>a</Key><VersionId>${version}</VersionId></Deleted>`));
  assert.match(text, /<Error><Key>b<\/Key><Code>PreconditionFailed/);
  assert.match(text, /<Deleted><Key>b<\/Key><DeleteMarker>true<\/DeleteMarker><DeleteMarkerVersionId>/);
  assert.match(
    text,
    /<Deleted><Key>none<\/Key><\/Deleted>/,
    'nothing is done where there is nothing to hold a condition against',
  );
});
