import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ChunkSigning } from '#lib/aws-chunked.ts';
import { encodeAwsChunked } from '#lib/aws-chunked-encode.ts';
import { createChecksum } from '#lib/checksum.ts';
import { signingKey } from '#lib/sigv4.ts';
import { type ClientAnswer, createS3Client, type S3Client } from './testing/client.ts';
import { startTestS3 } from './testing/server.ts';

test('Anonymous_is_denied', async (t) => {
  const { client } = await startTestS3(t);
  const answer = await client.sendRaw('GET', '/photos/a', {});
  assert.deepEqual([answer.status, answer.code, answer.headers['content-type']], [403, 'AccessDenied', 'application/xml']);
  assert.match(answer.text, /<Resource>\/photos\/a<\/Resource><RequestId>[0-9A-F]{16}<\/RequestId>/);
});

test('Credentials_that_are_wrong', async (t) => {
  const { client, endpoint } = await startTestS3(t);
  const as = (credentials: Partial<S3Client['credentials']>) =>
    createS3Client(endpoint, { ...client.credentials, ...credentials });
  const cases: readonly (readonly [S3Client, string])[] = [
    [as({ accessKey: 'AKNOBODY' }), 'InvalidAccessKeyId'],
    [as({ secretKey: 'wrong' }), 'SignatureDoesNotMatch'],
    [as({ region: 'eu-west-1' }), 'AuthorizationHeaderMalformed'],
    [as({ service: 'iam' }), 'AuthorizationHeaderMalformed'],
  ];
  for (const [wrong, code] of cases) assert.equal((await wrong.send('GET', '/')).code, code);
  const old = await client.sendRaw('GET', '/', { authorization: 'AWS AKTEST:abc' });
  assert.equal(old.code, 'InvalidRequest');
  const malformed = await client.sendRaw('GET', '/', { authorization: 'AWS4-HMAC-SHA256 Credential=x' });
  assert.equal(malformed.code, 'AuthorizationHeaderMalformed');
});

test('Requests_too_old_or_too_new', async (t) => {
  const { client } = await startTestS3(t);
  for (const offsetMs of [-16 * 60_000, 16 * 60_000]) {
    assert.equal((await client.send('GET', '/', { timeMs: Date.now() + offsetMs })).code, 'RequestTimeTooSkewed');
  }
});

test('Headers_added_on_the_way_are_refused', async (t) => {
  const { client } = await startTestS3(t);
  await client.send('PUT', '/photos/a', { body: 'x' });
  const headers = client.sign('PUT', '/photos/b');
  const answer = await client.sendRaw('PUT', '/photos/b', {
    ...headers,
    'content-length': '0',
    'x-amz-copy-source': '/photos/a',
  });
  assert.equal(answer.code, 'AccessDenied');
});

test('Presigned_URLs', async (t) => {
  const { client } = await startTestS3(t);
  await client.send('PUT', '/photos/a b', { body: 'hello' });
  const get = (url: string): Promise<ClientAnswer> => client.sendRaw('GET', url, {});
  const override = await get(client.presign('GET', '/photos/a b', 60, { 'response-content-type': 'text/x y' }));
  assert.deepEqual([override.status, override.text, override.headers['content-type']], [200, 'hello', 'text/x y']);
  assert.equal((await get(client.presign('PUT', '/photos/a b', 60))).code, 'SignatureDoesNotMatch');
  assert.equal((await get(client.presign('GET', '/photos/b', 60).replace('/b', '/a%20b'))).code, 'SignatureDoesNotMatch');
  assert.equal((await get(client.presign('GET', '/photos/a b', 60, {}, Date.now() - 61_000))).code, 'AccessDenied');
  assert.equal((await get(client.presign('GET', '/photos/a b', 604_801))).code, 'AccessDenied');
  const put = await client.sendRaw('PUT', client.presign('PUT', '/photos/c', 60), { 'content-length': '1' }, 'c');
  assert.equal(put.status, 200, put.text);
});

test('Operations_are_authorised_by_name', async (t) => {
  const seen: string[] = [];
  const { client } = await startTestS3(t, {
    isDenied: (operation, bucket, key) => {
      seen.push([operation, bucket, key].filter((word) => word !== undefined).join(' '));
      return bucket === 'other';
    },
  });
  const listed = await client.send('GET', '/');
  assert.match(listed.text, /<Name>photos<\/Name>/);
  assert.doesNotMatch(listed.text, /<Name>other<\/Name>/);
  assert.equal((await client.send('PUT', '/other/x', { body: 'x' })).code, 'AccessDenied');
  assert.deepEqual(seen, ['ListBuckets', 'HeadBucket other', 'HeadBucket photos', 'PutObject other x']);
});

/** Sends a streaming upload whose encoded body went through `spoil`. */
async function putStreaming(
  client: S3Client,
  kind: string,
  trailer: Readonly<Record<string, string>> | undefined,
  spoil: (body: Buffer) => Buffer = (body) => body,
): Promise<ClientAnswer> {
  const chunks = [Buffer.alloc(70_000, 'a'), Buffer.from('end')];
  const announced = trailer ? { 'x-amz-trailer': Object.keys(trailer).join(',') } : {};
  const headers = client.sign('PUT', '/photos/a', {
    payloadHash: kind,
    headers: { 'x-amz-decoded-content-length': '70003', 'content-encoding': 'aws-chunked', ...announced },
  });
  const timestamp = headers['x-amz-date'] ?? '';
  const scope = { date: timestamp.slice(0, 8), region: 'us-east-1', service: 's3' };
  const seed = /Signature=(\w+)/.exec(headers['authorization'] ?? '')?.[1] ?? '';
  const signing: ChunkSigning = { key: signingKey(client.credentials.secretKey, scope), scope, timestamp, seed };
  const body = spoil(encodeAwsChunked(chunks, kind.includes('UNSIGNED') ? undefined : signing, trailer));
  return await client.sendRaw('PUT', '/photos/a', { ...headers, 'content-length': String(body.length) }, body);
}

const checksum = createChecksum('crc64nvme');
checksum.update(Buffer.concat([Buffer.alloc(70_000, 'a'), Buffer.from('end')]));
const trailer = { 'x-amz-checksum-crc64nvme': checksum.digest().toString('base64') };
const kinds = [
  ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD', undefined],
  ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', trailer],
  ['STREAMING-UNSIGNED-PAYLOAD-TRAILER', trailer],
] as const;

for (const [kind, sentTrailer] of kinds) {
  test(`PutObject_${kind}`, async (t) => {
    const { client } = await startTestS3(t);
    const put = await putStreaming(client, kind, sentTrailer);
    assert.equal(put.status, 200, put.text);
    const get = await client.send('GET', '/photos/a', { headers: { 'x-amz-checksum-mode': 'ENABLED' } });
    assert.deepEqual(
      [get.bytes.length, get.bytes.subarray(-3).toString(), get.headers['content-encoding']],
      [70_003, 'end', undefined],
    );
    assert.equal(get.headers['x-amz-checksum-crc64nvme'], sentTrailer?.['x-amz-checksum-crc64nvme']);
  });
}

test('PutObject_streaming_tampered', async (t) => {
  const { client, folder } = await startTestS3(t);
  const change = (from: string, to: string) => (body: Buffer) => Buffer.from(body.toString('latin1').replace(from, to), 'latin1');
  const cases: readonly (readonly [string, typeof trailer | undefined, (body: Buffer) => Buffer, string])[] = [
    [kinds[0][0], undefined, change('end', 'END'), 'SignatureDoesNotMatch'],
    [kinds[1][0], trailer, change('end', 'END'), 'SignatureDoesNotMatch'],
    [kinds[2][0], trailer, change('end', 'END'), 'BadDigest'],
    [kinds[2][0], trailer, change('x-amz-checksum-crc64nvme', 'x-amz-checksum-crc32'), 'MalformedTrailerError'],
    [kinds[2][0], trailer, change('end\r\n', ''), 'InvalidRequest'],
    [kinds[0][0], undefined, (body) => body.subarray(0, -90), 'IncompleteBody'],
    [kinds[0][0], undefined, () => Buffer.from('hello'), 'IncompleteBody'],
  ];
  for (const [kind, sent, spoil, code] of cases)
    assert.equal((await putStreaming(client, kind, sent, spoil)).code, code, `${kind} ${code}`);
  assert.equal(existsSync(join(folder, 'a')), false);
});

test('PutObject_streaming_with_a_forged_signature', async (t) => {
  const { client, endpoint, folder } = await startTestS3(t);
  const forger = createS3Client(endpoint, { ...client.credentials, secretKey: 'guess' });
  for (const [kind, sent] of kinds) assert.equal((await putStreaming(forger, kind, sent)).code, 'SignatureDoesNotMatch');
  assert.equal(existsSync(join(folder, 'a')), false);
});

test('PutObject_unknown_payload_kind', async (t) => {
  const { client } = await startTestS3(t);
  assert.equal((await client.send('PUT', '/photos/a', { body: 'x', payloadHash: 'STREAMING-NONSENSE' })).code, 'InvalidArgument');
  assert.equal(
    (await client.send('PUT', '/photos/a', { body: 'x', payloadHash: 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD' })).code,
    'NotImplemented',
  );
});
