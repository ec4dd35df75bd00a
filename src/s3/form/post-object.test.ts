import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { signTextV2 } from '#lib/sigv2.ts';
import { scopeText, signingKey, signText, timestampOf } from '#lib/sigv4.ts';
import type { ClientAnswer } from '../testing/client.ts';
import { startUsersServer, type UsersServer, type UsersServerOptions } from '../testing/users-server.ts';

type Fields = Readonly<Record<string, string>>;

const fileOf = (file: string): string =>
  `--xx\r\nContent-Disposition: form-data; name="file"; filename="pic.png"\r\nContent-Type: text/plain\r\n\r\n${file}\r\n--xx--\r\n`;

function post(server: UsersServer, fields: Fields, file = 'hello', headers: Fields = {}): Promise<ClientAnswer> {
  const parts = Object.entries(fields).map(
    ([name, value]) => `--xx\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const body = parts.join('') + fileOf(file);
  const type = { 'content-type': 'multipart/form-data; boundary=xx', 'content-length': String(Buffer.byteLength(body)) };
  return server.as('alice').sendRaw('POST', '/docs', { ...type, ...headers }, body);
}

/** Adds what a form needs to be signed by a user, with a policy of these conditions. */
function signed(name: string, fields: Fields, conditions: readonly unknown[], region = 'us-east-1', policyTime = 60_000): Fields {
  const timestamp = timestampOf(Date.now());
  const scope = { date: timestamp.slice(0, 8), region, service: 's3' };
  const signing = {
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-credential': `AK${name.toUpperCase()}/${scopeText(scope)}`,
    'x-amz-date': timestamp,
  };
  const expiration = new Date(Date.now() + policyTime).toISOString();
  const all = [...conditions, ...Object.entries(signing).map(([field, value]) => ({ [field]: value }))];
  const policy = Buffer.from(JSON.stringify({ expiration, conditions: all })).toString('base64');
  return { ...fields, ...signing, policy, 'x-amz-signature': signText(signingKey(`secret of ${name}`, scope), policy) };
}

const outcome = ({ status, code }: ClientAnswer): string => code ?? String(status);

async function startScene(t: TestContext, options: UsersServerOptions = {}): Promise<UsersServer> {
  const server = await startUsersServer(t, options);
  assert.equal((await server.as('alice').send('PUT', '/docs')).status, 200);
  return server;
}
const usual = [['starts-with', '$key', 'user/'], { bucket: 'docs' }, ['content-length-range', 1, 10]];

test('PostObject_with_everything', async (t) => {
  const server = await startScene(t);
  const fields = {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: what a form has there.
    key: 'user/${filename}',
    'Content-Type': 'image/png',
    'x-amz-meta-Who': 'é',
    tagging: '<Tagging><TagSet><Tag><Key>a b</Key><Value>c&amp;d</Value></Tag></TagSet></Tagging>',
    acl: 'public-read',
    success_action_status: '201',
    'x-amz-checksum-sha256': 'LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=',
  };
  const conditions = [
    ...usual,
    ['eq', '$content-type', 'image/png'],
    ['starts-with', '$x-amz-meta-who', ''],
    ['starts-with', '$tagging', ''],
    { acl: 'public-read' },
    { success_action_status: '201' },
  ];
  const answer = await post(server, signed('alice', fields, conditions));
  assert.equal(answer.status, 201, answer.text);
  assert.match(
    answer.text,
    /<PostResponse><Location>http:[^<]*\/docs\/user\/pic.png<\/Location><Bucket>docs<\/Bucket><Key>user\/pic.png</,
  );
  const got = await server.as('alice').sendRaw('GET', '/docs/user/pic.png', {});
  assert.deepEqual([got.text, got.headers['content-type']], ['hello', 'image/png']);
  assert.equal(got.headers['x-amz-meta-who'], 'é');
  const tags = await server.as('alice').send('GET', '/docs/user/pic.png', { query: { tagging: '' } });
  assert.match(tags.text, /<Key>a b<\/Key><Value>c&amp;d<\/Value>/);
});

test('PostObject_answers', async (t) => {
  const server = await startScene(t);
  const send = (fields: Fields): Promise<ClientAnswer> =>
    post(
      server,
      signed('alice', { key: 'user/a', ...fields }, [
        ...usual,
        ...Object.keys(fields).map((name) => ['starts-with', `$${name}`, '']),
      ]),
    );
  assert.equal((await send({})).status, 204);
  assert.equal((await send({ success_action_status: '200' })).status, 200);
  assert.equal((await send({ success_action_status: '404' })).status, 204);
  const redirected = await send({ success_action_redirect: 'https://example.org/done?a=1' });
  assert.equal(redirected.status, 303);
  assert.match(
    String(redirected.headers.location),
    /^https:\/\/example.org\/done\?a=1&bucket=docs&key=user%2Fa&etag=%22[0-9a-f]{32}%22$/,
  );
  assert.equal((await send({ success_action_redirect: 'javascript:alert(1)' })).status, 204);
});

const row6: readonly (readonly [title: string, fields: Fields, file: string, expected: string])[] = [
  ['too_large', {}, 'x'.repeat(11), 'EntityTooLarge'],
  ['too_small', {}, '', 'EntityTooSmall'],
  ['key_outside_prefix', { key: 'other/a' }, 'x', 'AccessDenied'],
  ['key_by_file_name_outside_prefix', { key: '../user/a' }, 'x', 'AccessDenied'],
  ['content_type_not_spoken_of', { 'Content-Type': 'text/html' }, 'x', 'AccessDenied'],
  ['acl_not_spoken_of', { acl: 'public-read' }, 'x', 'AccessDenied'],
  ['metadata_not_spoken_of', { 'x-amz-meta-a': 'b' }, 'x', 'AccessDenied'],
  ['redirect_not_spoken_of', { success_action_redirect: 'https://evil.example' }, 'x', 'AccessDenied'],
  ['wrong_checksum', { 'x-amz-checksum-crc32': 'AAAAAA==' }, 'x', 'BadDigest'],
  ['no_key', { key: '' }, 'x', 'InvalidArgument'],
];
for (const [title, fields, file, expected] of row6)
  test(`Row_6_PostObject_${title}`, async (t) => {
    const server = await startScene(t);
    assert.equal(outcome(await post(server, signed('alice', { key: 'user/a', ...fields }, usual), file)), expected);
    const { objects } = await server.backend.list('docs', { prefix: '', delimiter: '', after: '', limit: 1 });
    assert.deepEqual(objects, []);
  });

test('Row_6_PostObject_whose_signature_is_wrong_missing_late_or_of_somebody_else', async (t) => {
  const server = await startScene(t);
  const good = signed('alice', { key: 'user/a' }, usual);
  const without = (name: string): Fields => Object.fromEntries(Object.entries(good).filter(([field]) => field !== name));
  const cases: readonly (readonly [fields: Fields, expected: string])[] = [
    [{ ...good, policy: signed('alice', {}, [])['policy'] ?? '' }, 'SignatureDoesNotMatch'],
    [{ ...good, 'x-amz-signature': 'x' }, 'SignatureDoesNotMatch'],
    [without('x-amz-signature'), 'InvalidArgument'],
    [without('policy'), 'AccessDenied'],
    [{ ...good, 'x-amz-credential': (good['x-amz-credential'] ?? '').replace('AKALICE', 'AKNOBODY') }, 'InvalidAccessKeyId'],
    [signed('alice', { key: 'user/a' }, usual, 'eu-west-1'), 'AuthorizationQueryParametersError'],
    [signed('alice', { key: 'user/a' }, usual, 'us-east-1', -1_000), 'AccessDenied'],
    [signed('bob', { key: 'user/a' }, usual), 'AccessDenied'],
    [{ key: 'user/a' }, 'AccessDenied'],
  ];
  for (const [fields, expected] of cases) assert.equal(outcome(await post(server, fields)), expected, JSON.stringify(fields));
  const policy = good['policy'] ?? '';
  const old = { key: 'user/a', AWSAccessKeyId: 'AKALICE', policy, signature: signTextV2('secret of alice', policy) };
  assert.equal(outcome(await post(server, old)), 'InvalidRequest');
  assert.equal(
    outcome(await post(server, good, 'hello', { 'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER' })),
    'InvalidRequest',
  );
  assert.equal(outcome(await post(server, good)), '204');
});

test('PostObject_by_anybody_where_the_bucket_is_open', async (t) => {
  const server = await startScene(t);
  const acl = await server
    .as('alice')
    .send('PUT', '/docs', { query: { acl: '' }, headers: { 'x-amz-acl': 'public-read-write' } });
  assert.equal(acl.status, 200);
  assert.equal(outcome(await post(server, { key: 'a' })), '204');
  assert.equal((await server.as('alice').send('GET', '/docs/a')).text, 'hello');
});
