import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { signTextV2 } from '#lib/sigv2.ts';
import { type ClientAnswer, type ClientRequest, createS3Client, type S3Client } from './testing/client.ts';
import { startUsersServer, type UsersServer, type UsersServerOptions } from './testing/users-server.ts';

type Fields = Readonly<Record<string, unknown>>;
const rule = (effect: string, action: string | readonly string[], more: Fields = {}): Fields => ({
  Effect: effect,
  Principal: '*',
  Action: action,
  Resource: ['arn:aws:s3:::docs', 'arn:aws:s3:::docs/*'],
  ...more,
});
const policyOf = (...statements: readonly Fields[]): string => JSON.stringify({ Version: '2012-10-17', Statement: statements });
const putPolicy = (client: S3Client, ...statements: readonly Fields[]): Promise<ClientAnswer> =>
  client.send('PUT', '/docs', { query: { policy: '' }, body: policyOf(...statements) });

/** `200`, or the code of the error, or the status of an error without a body. */
const outcome = ({ status, code }: ClientAnswer): string => code ?? String(status);

interface Scene extends UsersServer {
  readonly alice: S3Client;
  readonly bob: S3Client;
  /** As somebody who does not sign. */
  anybody(method: string, url: string, headers?: Readonly<Record<string, string>>, body?: string): Promise<ClientAnswer>;
}

/** Alice has the bucket `docs` with the object `a`. */
async function startScene(
  t: TestContext,
  options: UsersServerOptions & { readonly create?: ClientRequest } = {},
): Promise<Scene> {
  const server = await startUsersServer(t, options);
  const [alice, bob] = [server.as('alice'), server.as('bob')];
  assert.equal(outcome(await alice.send('PUT', '/docs', options.create)), '200');
  assert.equal(outcome(await alice.send('PUT', '/docs/a', { body: 'hello' })), '200');
  const anybody: Scene['anybody'] = (method, url, headers = {}, body = '') =>
    alice.sendRaw(method, url, { 'content-length': String(Buffer.byteLength(body)), ...headers }, body);
  return { ...server, alice, bob, anybody };
}

test('A_bucket_is_its_makers', async (t) => {
  const { alice, bob, anybody } = await startScene(t);
  assert.equal(outcome(await alice.send('GET', '/docs/a')), '200');
  for (const [method, path, query] of [
    ['GET', '/docs', {}],
    ['GET', '/docs/a', {}],
    ['HEAD', '/docs/a', {}],
    ['GET', '/docs/missing', {}],
    ['PUT', '/docs/b', {}],
    ['DELETE', '/docs/a', {}],
    ['DELETE', '/docs', {}],
    ['GET', '/docs', { acl: '' }],
    ['GET', '/docs', { policy: '' }],
    ['PUT', '/docs', { policy: '' }],
    ['POST', '/docs/b', { uploads: '' }],
  ] as const) {
    const answer = await bob.send(method, path, { query });
    assert.equal(answer.status, 403, `${method} ${path}`);
    const word = Object.keys(query)[0];
    assert.equal((await anybody(method, word ? `${path}?${word}` : path)).status, 403, `anybody ${method} ${path}`);
  }
  assert.equal(outcome(await bob.send('GET', '/none')), 'NoSuchBucket');
  assert.equal(outcome(await bob.send('PUT', '/docs')), 'BucketAlreadyExists');
  assert.equal(outcome(await alice.send('PUT', '/docs')), '200');
  assert.match((await alice.send('GET', '/')).text, /<ID>id-alice<\/ID><DisplayName>alice<\/DisplayName>.*<Name>docs<\/Name>/);
  assert.doesNotMatch((await bob.send('GET', '/')).text, /<Name>/);
});

test('Public_reading_by_policy_and_its_end', async (t) => {
  const { alice, bob, anybody } = await startScene(t);
  assert.equal((await putPolicy(alice, rule('Allow', 's3:GetObject'))).status, 204);
  assert.equal((await anybody('GET', '/docs/a')).text, 'hello');
  assert.equal(outcome(await anybody('GET', '/docs/missing')), 'AccessDenied');
  assert.equal(outcome(await bob.send('GET', '/docs/missing')), 'AccessDenied');
  assert.equal(outcome(await alice.send('GET', '/docs/missing')), 'NoSuchKey');
  assert.equal(outcome(await anybody('PUT', '/docs/a', {}, 'x')), 'AccessDenied');
  assert.match((await alice.send('GET', '/docs', { query: { policyStatus: '' } })).text, /<IsPublic>true/);
  const block = (what: string): Promise<ClientAnswer> =>
    alice.send('PUT', '/docs', {
      query: { publicAccessBlock: '' },
      body: `<PublicAccessBlockConfiguration><${what}>true</${what}></PublicAccessBlockConfiguration>`,
    });
  assert.equal((await block('RestrictPublicBuckets')).status, 200);
  assert.equal(outcome(await anybody('GET', '/docs/a')), 'AccessDenied');
  assert.equal(outcome(await alice.send('GET', '/docs/a')), '200');
  assert.equal((await block('BlockPublicPolicy')).status, 200);
  assert.equal(outcome(await putPolicy(alice, rule('Allow', 's3:GetObject'))), 'AccessDenied');
  assert.equal((await alice.send('DELETE', '/docs', { query: { policy: '' } })).status, 204);
  assert.equal(outcome(await anybody('GET', '/docs/a')), 'AccessDenied');
  assert.equal(outcome(await alice.send('GET', '/docs', { query: { policy: '' } })), 'NoSuchBucketPolicy');
  assert.equal(outcome(await putPolicy(alice, rule('Allow', 's3:Get'))), 'MalformedPolicy');
});

test('ACLs_of_bucket_and_object', async (t) => {
  const { alice, bob, anybody } = await startScene(t);
  const acl = (path: string, word: string): Promise<ClientAnswer> =>
    alice.send('PUT', path, { query: { acl: '' }, headers: { 'x-amz-acl': word } });
  assert.equal(outcome(await acl('/docs/a', 'public-read')), '200');
  assert.equal((await anybody('GET', '/docs/a')).text, 'hello');
  assert.equal(outcome(await anybody('GET', '/docs')), 'AccessDenied');
  assert.equal(outcome(await acl('/docs', 'authenticated-read')), '200');
  assert.equal(outcome(await bob.send('GET', '/docs')), '200');
  assert.equal(outcome(await anybody('GET', '/docs')), 'AccessDenied');
  assert.equal(outcome(await acl('/docs', 'public-ready')), 'InvalidArgument');
  const grant = (headers: Readonly<Record<string, string>>): Promise<ClientAnswer> =>
    alice.send('PUT', '/docs', { query: { acl: '' }, headers });
  assert.equal(outcome(await grant({ 'x-amz-grant-write': 'id="id-bob"' })), '200');
  assert.equal(outcome(await bob.send('PUT', '/docs/b', { body: 'of bob' })), '200');
  // What bob wrote is his: alice can take it away, but only he says who may.
  assert.equal(outcome(await alice.send('GET', '/docs/b', { query: { acl: '' } })), 'AccessDenied');
  assert.match((await bob.send('GET', '/docs/b', { query: { acl: '' } })).text, /<Owner><ID>id-bob</);
  assert.equal(outcome(await grant({ 'x-amz-grant-read': 'id=id-nobody' })), 'InvalidArgument');
  assert.equal(outcome(await grant({ 'x-amz-grant-read': 'emailAddress=a@b.c' })), 'UnresolvableGrantByEmailAddress');
  assert.equal(outcome(await grant({ 'x-amz-grant-read': 'id=id-bob', 'x-amz-acl': 'private' })), 'InvalidRequest');
  const xml = (owner: string, permission: string): string =>
    `<AccessControlPolicy><Owner><ID>${owner}</ID></Owner><AccessControlList><Grant><Grantee><ID>id-bob</ID></Grantee><Permission>${permission}</Permission></Grant></AccessControlList></AccessControlPolicy>`;
  const putXml = (body: string): Promise<ClientAnswer> => alice.send('PUT', '/docs/a', { query: { acl: '' }, body });
  assert.equal(outcome(await putXml(xml('id-alice', 'READ_ACP'))), '200');
  assert.equal(outcome(await bob.send('GET', '/docs/a', { query: { acl: '' } })), '200');
  assert.equal(outcome(await bob.send('GET', '/docs/a')), 'AccessDenied');
  assert.equal(outcome(await putXml(xml('id-bob', 'READ'))), 'AccessDenied');
  assert.equal(outcome(await putXml(xml('id-alice', 'EVERYTHING'))), 'MalformedACLError');
});

test('Where_the_owner_of_the_bucket_owns_all_there_are_no_ACLs', async (t) => {
  const create = { headers: { 'x-amz-object-ownership': 'BucketOwnerEnforced' } };
  const { alice, bob, anybody } = await startScene(t, { create });
  await putPolicy(alice, rule('Allow', 's3:PutObject', { Principal: { AWS: 'arn:aws:iam::cellar:user/id-bob' } }));
  const put = (word?: string): Promise<ClientAnswer> =>
    bob.send('PUT', '/docs/b', { body: 'x', headers: word ? { 'x-amz-acl': word } : {} });
  assert.equal(outcome(await put()), '200');
  assert.equal(outcome(await put('bucket-owner-full-control')), '200');
  assert.equal(outcome(await put('public-read')), 'AccessControlListNotSupported');
  assert.match((await alice.send('GET', '/docs/b', { query: { acl: '' } })).text, /<Owner><ID>id-alice</);
  assert.equal(outcome(await bob.send('GET', '/docs/b')), 'AccessDenied');
  const acl = await alice.send('PUT', '/docs', { query: { acl: '' }, headers: { 'x-amz-acl': 'public-read' } });
  assert.equal(outcome(acl), 'AccessControlListNotSupported');
  assert.equal(outcome(await anybody('GET', '/docs')), 'AccessDenied');
});

test('The_platform_forbids_before_anything_else', async (t) => {
  const platform: UsersServerOptions['platform'] = (user, operation) =>
    operation === 'GetObject' && user?.displayName !== 'alice'
      ? 'forbidden'
      : operation === 'CreateBucket'
        ? 'allowed'
        : 'undecided';
  const { alice, bob, anybody } = await startScene(t, { platform });
  await putPolicy(alice, rule('Allow', 's3:*'));
  assert.equal(outcome(await bob.send('GET', '/docs/a')), 'AccessDenied');
  assert.equal(outcome(await anybody('GET', '/docs/a')), 'AccessDenied');
  assert.equal(outcome(await alice.send('GET', '/docs/a')), '200');
  assert.equal(outcome(await bob.send('GET', '/docs')), '200');
});

/** Rows are those of the list of cases that other servers got wrong. */
const kind = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';

test('Row_1_a_forged_signature_is_refused_on_every_write_route', async (t) => {
  const { alice, bob, as, backend } = await startScene(t);
  const uploadId =
    /<UploadId>(.*)<\/UploadId>/.exec((await alice.send('POST', '/docs/m', { query: { uploads: '' } })).text)?.[1] ?? '';
  const forged = { 'x-amz-decoded-content-length': '3', 'x-amz-trailer': 'x-amz-checksum-crc32' };
  for (const [method, path, query] of [
    ['PUT', '/docs/new', {}],
    ['PUT', '/docs/m', { partNumber: '1', uploadId }],
    ['POST', '/docs/new', { uploads: '' }],
    ['POST', '/docs/m', { uploadId }],
    ['POST', '/docs', { delete: '' }],
    ['POST', '/docs', {}],
    ['PUT', '/docs', { policy: '' }],
    ['PUT', '/docs/a', { tagging: '' }],
    ['DELETE', '/docs/a', {}],
    ['DELETE', '/docs/m', { uploadId }],
  ] as const) {
    const headers = alice.sign(method, path, { query, headers: forged, payloadHash: kind });
    const spoiled = {
      ...headers,
      authorization: (headers['authorization'] ?? '').replace(/.$/, (last) => (last === '0' ? '1' : '0')),
    };
    const search = new URLSearchParams(query).toString();
    const answer = await alice.sendRaw(method, `${path}?${search}`, { ...spoiled, 'content-length': '0' });
    assert.equal(outcome(answer), 'SignatureDoesNotMatch', `${method} ${path} ${search}`);
    const presigned = alice.presign(method, path, 60, query).replace(/.$/, (last) => (last === '0' ? '1' : '0'));
    assert.equal(outcome(await alice.sendRaw(method, presigned, { 'content-length': '0' })), 'SignatureDoesNotMatch', presigned);
    // An access key alone, without a signature, is nobody's.
    const key = `${path}?${search}&X-Amz-Credential=${encodeURIComponent('AKALICE/20260101/us-east-1/s3/aws4_request')}`;
    assert.equal((await alice.sendRaw(method, key, { 'content-length': '0' })).status >= 400, true, key);
  }
  assert.equal(outcome(await bob.send('GET', '/docs/a')), 'AccessDenied');
  const { objects } = await backend.list('docs', { prefix: '', delimiter: '', after: '', limit: 10 });
  assert.deepEqual(
    objects.map(({ key }) => key),
    ['a'],
  );
  assert.equal(outcome(await as('alice').send('GET', '/docs/m', { query: { uploadId } })), '200');
});

test('Row_2_how_a_body_is_encoded_says_its_signed_hash_alone', async (t) => {
  const { alice, anybody } = await startScene(t);
  const body = '3\r\nabc\r\n0\r\n\r\n';
  const headers = { 'content-encoding': 'aws-chunked', 'x-amz-decoded-content-length': '3' };
  assert.equal(outcome(await alice.send('PUT', '/docs/b', { body, headers })), '200');
  assert.equal((await alice.send('GET', '/docs/b')).text, body);
  await putPolicy(alice, rule('Allow', 's3:PutObject'));
  const signedChunks = { ...headers, 'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' };
  assert.equal(outcome(await anybody('PUT', '/docs/c', signedChunks, body)), 'InvalidRequest');
});

test('Row_3_a_denial_wins_when_governance_is_overruled', async (t) => {
  const { alice, bob } = await startScene(t, { create: { headers: { 'x-amz-bucket-object-lock-enabled': 'true' } } });
  const until = new Date(Date.now() + 86_400_000).toISOString();
  const lock = { 'x-amz-object-lock-mode': 'GOVERNANCE', 'x-amz-object-lock-retain-until-date': until };
  const put = await alice.send('PUT', '/docs/locked', { body: 'x', headers: lock });
  const versionId = String(put.headers['x-amz-version-id']);
  const bypass = { 'x-amz-bypass-governance-retention': 'true' };
  const remove = (client: S3Client, headers = {}): Promise<ClientAnswer> =>
    client.send('DELETE', '/docs/locked', { query: { versionId }, headers });
  assert.equal(outcome(await remove(alice)), 'AccessDenied');
  await putPolicy(alice, rule('Allow', ['s3:DeleteObject', 's3:DeleteObjectVersion', 's3:PutObjectRetention']));
  assert.equal(outcome(await remove(bob, bypass)), 'AccessDenied');
  await putPolicy(alice, rule('Allow', 's3:*'), rule('Deny', 's3:BypassGovernanceRetention'));
  for (const client of [alice, bob]) {
    assert.equal(outcome(await remove(client, bypass)), 'AccessDenied');
    const body = `<Delete><Object><Key>locked</Key><VersionId>${versionId}</VersionId></Object></Delete>`;
    const many = await client.send('POST', '/docs', { query: { delete: '' }, body, headers: bypass });
    assert.match(many.text, /<Error>.*<Code>AccessDenied<\/Code>/s);
    const retention = `<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>${new Date(Date.now() + 60_000).toISOString()}</RetainUntilDate></Retention>`;
    const shorter = await client.send('PUT', '/docs/locked', {
      query: { retention: '', versionId },
      body: retention,
      headers: bypass,
    });
    assert.equal(outcome(shorter), 'AccessDenied');
  }
  await alice.send('DELETE', '/docs', { query: { policy: '' } });
  assert.equal(outcome(await remove(alice, bypass)), '204');
});

test('Row_4_copying_needs_a_right_to_the_source_and_to_its_version', async (t) => {
  const { alice, bob } = await startScene(t);
  const versioning = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>';
  await alice.send('PUT', '/docs', { query: { versioning: '' }, body: versioning });
  const versionId = String((await alice.send('PUT', '/docs/v', { body: 'old' })).headers['x-amz-version-id']);
  assert.equal(outcome(await bob.send('PUT', '/mine')), '200');
  const upload = await bob.send('POST', '/mine/m', { query: { uploads: '' } });
  const uploadId = /<UploadId>(.*)<\/UploadId>/.exec(upload.text)?.[1] ?? '';
  const copies = async (source: string): Promise<string[]> => {
    const headers = { 'x-amz-copy-source': source };
    const whole = await bob.send('PUT', '/mine/copy', { headers });
    return [outcome(whole), outcome(await bob.send('PUT', '/mine/m', { query: { partNumber: '1', uploadId }, headers }))];
  };
  const denied = ['AccessDenied', 'AccessDenied'];
  const fine = ['200', '200'];
  assert.deepEqual(await copies('/docs/v'), denied);
  assert.deepEqual(await copies('docs%2Fv'), denied);
  await putPolicy(alice, rule('Allow', 's3:GetObject'));
  assert.deepEqual(await copies('/docs/v'), fine);
  assert.deepEqual(await copies(`/docs/v?versionId=${versionId}`), denied);
  assert.equal(outcome(await bob.send('GET', '/docs/v', { query: { versionId } })), 'AccessDenied');
  await putPolicy(alice, rule('Allow', 's3:GetObjectVersion'));
  assert.deepEqual(await copies(`/docs/v?versionId=${versionId}`), fine);
  await putPolicy(alice, rule('Allow', 's3:Get*'), rule('Deny', 's3:GetObjectTagging'));
  assert.deepEqual(await copies('/docs/v'), denied);
});

test('Row_5_the_source_address_is_that_of_the_connection', async (t) => {
  const { alice, anybody } = await startScene(t);
  const only = (address: string): Promise<ClientAnswer> =>
    putPolicy(alice, rule('Allow', 's3:GetObject', { Condition: { IpAddress: { 'aws:SourceIp': address } } }));
  await only('10.9.8.7/32');
  for (const name of ['x-forwarded-for', 'x-real-ip', 'forwarded', 'x-cellar-client', 'true-client-ip'])
    assert.equal(outcome(await anybody('GET', '/docs/a', { [name]: '10.9.8.7' })), 'AccessDenied', name);
  await only('127.0.0.0/8');
  assert.equal(outcome(await anybody('GET', '/docs/a', { 'x-forwarded-for': '10.9.8.7' })), '200');
});

test('Row_9_a_policy_that_only_denies_gives_nothing', async (t) => {
  const { alice, bob, anybody } = await startScene(t);
  const others = { Principal: undefined, NotPrincipal: { CanonicalUser: 'id-bob' } };
  await putPolicy(alice, rule('Deny', 's3:DeleteObject', others));
  assert.equal(outcome(await bob.send('DELETE', '/docs/a')), 'AccessDenied');
  assert.equal(outcome(await bob.send('GET', '/docs/a')), 'AccessDenied');
  assert.equal(outcome(await anybody('GET', '/docs/a')), 'AccessDenied');
});

test('A_bucket_at_its_own_host_is_signed_for_by_that_host', async (t) => {
  const { endpoint, alice, anybody } = await startScene(t, { baseDomain: 's3.example.org', allowsSignatureV2: true });
  const at = createS3Client(endpoint, alice.credentials, 'docs.s3.example.org');
  const host = { host: 'docs.s3.example.org' };
  assert.equal(outcome(await at.send('PUT', '/docs/a', { body: 'docs in docs' })), '200');
  assert.equal((await alice.send('GET', '/docs/docs/a')).text, 'docs in docs');
  assert.equal((await anybody('GET', at.presign('GET', '/docs/a', 60), host)).text, 'docs in docs');
  assert.equal(outcome(await anybody('GET', alice.presign('GET', '/docs/a', 60), host)), 'SignatureDoesNotMatch');
  const date = new Date().toUTCString();
  const signature = signTextV2('secret of alice', `GET\n\n\n${date}\n/docs/docs/a`);
  assert.equal(outcome(await anybody('GET', '/docs/a', { ...host, date, authorization: `AWS AKALICE:${signature}` })), '200');
});

test('Signatures_of_the_old_kind_are_refused_unless_allowed', async (t) => {
  for (const allowsSignatureV2 of [false, true]) {
    const { anybody } = await startScene(t, { allowsSignatureV2 });
    const date = new Date().toUTCString();
    const signature = signTextV2('secret of alice', `GET\n\n\n${date}\n/docs/a`);
    const answer = await anybody('GET', '/docs/a', { date, authorization: `AWS AKALICE:${signature}` });
    assert.equal(outcome(answer), allowsSignatureV2 ? '200' : 'InvalidRequest');
    const wrong = await anybody('GET', '/docs/a', { date, authorization: `AWS AKALICE:${signature.replace(/^./, '!')}` });
    assert.equal(outcome(wrong), allowsSignatureV2 ? 'SignatureDoesNotMatch' : 'InvalidRequest');
  }
});
