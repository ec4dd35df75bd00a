import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort, type Product, startProduct, waitUntil } from './harness.ts';
import { signedFetch } from './signed-fetch.ts';

/** Rows of the list of cases that other S3 servers got wrong; those that need no running product are beside the code. */

interface Keys {
  readonly accessKey: string;
  readonly secretKey: string;
}
type SignedFetch = ReturnType<typeof signedFetch>;

let product: Product;
let admin: Keys;
let adminS3: SignedFetch;
/** Somebody who may make buckets and has no other right. */
let maker: SignedFetch;
let makerKeys: Keys;
let stranger: SignedFetch;
/** Where every request is S3, also without a signature. */
let open: string;
let buckets: string;

before(async () => {
  const port = await freePort();
  open = `http://127.0.0.1:${port}`;
  product = await startProduct({ env: { CELLAR_GATEWAY_S3_PORT: String(port) } });
  buckets = join(product.tmp, 'buckets');
  mkdirSync(buckets);
  const added = await product.cli('datasource', 'add', 'made', buckets, '--buckets');
  assert.equal(added.exitCode, 0, added.stderr);
  admin = await keysOf('admin');
  adminS3 = signedFetch(product.url, admin);
  for (const name of ['maker', 'stranger']) assert.equal((await product.cli('user', 'add', name)).exitCode, 0);
  const file = join(product.tmp, 'maker.cedar');
  writeFileSync(
    file,
    'permit(principal, action == Action::"data:write", resource == Path::"made") when { principal.name == "maker" };',
  );
  assert.equal((await product.cli('policy', 'set', 'maker', file)).exitCode, 0);
  makerKeys = await keysOf('maker');
  maker = signedFetch(product.url, makerKeys);
  stranger = signedFetch(product.url, await keysOf('stranger'));
  // The services of a datasource that was just added start in their own time.
  await waitUntil(async () => (await maker('PUT', '/shared')).status === 200, 30_000);
});
after(async () => {
  await product?.[Symbol.asyncDispose]();
});

const keysOf = (user: string): Promise<Keys> => product.json<Keys>('key', 'create', '--as', user);
const anybody = (method: string, path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(open + path, { method, signal: AbortSignal.timeout(30_000), ...init });

async function setPolicy(bucket: string, ...statements: readonly Readonly<Record<string, unknown>>[]): Promise<void> {
  const answer = await maker('PUT', `/${bucket}?policy=`, JSON.stringify({ Version: '2012-10-17', Statement: statements }));
  assert.equal(answer.status, 204, await answer.text());
}
const statement = (bucket: string, effect: string, action: string, more: Readonly<Record<string, unknown>> = {}) => ({
  Effect: effect,
  Principal: '*',
  Action: action,
  Resource: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`],
  ...more,
});

/** A form of a browser, signed by its policy. */
function signedForm(
  keys: Keys,
  bucket: string,
  fields: Readonly<Record<string, string>>,
  file: string,
  conditions: readonly unknown[],
): FormData {
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = `${time.slice(0, 8)}/us-east-1/s3/aws4_request`;
  const signing = {
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-credential': `${keys.accessKey}/${scope}`,
    'x-amz-date': time,
  };
  const all = [{ bucket }, ...conditions, ...Object.entries(signing).map(([name, value]) => ({ [name]: value }))];
  const document = { expiration: new Date(Date.now() + 60_000).toISOString(), conditions: all };
  const policy = Buffer.from(JSON.stringify(document)).toString('base64');
  const signingKey = scope
    .split('/')
    .reduce<string | Buffer>((previous, part) => createHmac('sha256', previous).update(part).digest(), `AWS4${keys.secretKey}`);
  const signature = createHmac('sha256', signingKey).update(policy).digest('hex');
  const form = new FormData();
  for (const [name, value] of Object.entries({ ...fields, ...signing, policy, 'x-amz-signature': signature }))
    form.set(name, value);
  form.set('file', new Blob([file]), 'file.txt');
  return form;
}

test('a bucket is its maker’s, and what it opens is open to nobody else', async () => {
  assert.equal((await maker('PUT', '/shared/a', 'hello')).status, 200);
  assert.equal(readFileSync(join(buckets, 'shared', 'a'), 'utf8'), 'hello');
  for (const [method, path] of [
    ['GET', '/shared'],
    ['GET', '/shared/a'],
    ['PUT', '/shared/b'],
    ['DELETE', '/shared/a'],
    ['DELETE', '/shared'],
    ['GET', '/shared?policy='],
    ['PUT', '/shared?acl='],
    ['PUT', '/other'],
  ] as const) {
    assert.equal((await stranger(method, path)).status, 403, `${method} ${path}`);
    assert.equal((await anybody(method, path)).status, 403, `anybody ${method} ${path}`);
  }
  await setPolicy('shared', statement('shared', 'Allow', 's3:GetObject'));
  assert.equal(await (await anybody('GET', '/shared/a')).text(), 'hello');
  assert.equal((await stranger('GET', '/shared/a')).status, 200);
  assert.equal((await anybody('GET', '/shared')).status, 403);
  assert.equal((await maker('DELETE', '/shared?policy=')).status, 204);
  assert.equal((await anybody('GET', '/shared/a')).status, 403);
});

test('row 1: a forged signature with an unsigned payload writes nothing', async () => {
  const forger = signedFetch(product.url, { ...admin, secretKey: 'guess' });
  const more = { 'x-amz-decoded-content-length': '4', 'x-amz-trailer': 'x-amz-checksum-crc32' };
  for (const [method, path] of [
    ['PUT', '/docs/forged'],
    ['POST', '/docs/forged?uploads='],
    ['PUT', '/docs/forged?partNumber=1&uploadId=x'],
    ['POST', '/docs?delete='],
    ['POST', '/docs'],
    ['DELETE', '/docs/forged'],
  ] as const) {
    const answer = await forger(method, path, 'evil', new Date(), more);
    assert.match(await answer.text(), /SignatureDoesNotMatch/, `${method} ${path}`);
  }
  const headers = { 'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', ...more };
  const body = '4\r\nevil\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n';
  const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${encodeURIComponent(`${admin.accessKey}/20260101/us-east-1/s3/aws4_request`)}`;
  const inQuery = `${query}&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=${'0'.repeat(64)}`;
  for (const path of ['/docs/forged', `/docs/forged?${inQuery}`, `/docs/forged?${query}`])
    assert.ok((await anybody('PUT', path, { headers, body })).status >= 400, path);
  assert.equal(existsSync(join(product.folder('docs'), 'forged')), false);
});

test('row 3: a denial wins when governance is overruled, and a right to write is none to overrule', async () => {
  const made = await maker('PUT', '/locked', '', new Date(), { 'x-amz-bucket-object-lock-enabled': 'true' });
  assert.equal(made.status, 200, await made.text());
  const lock = {
    'x-amz-object-lock-mode': 'GOVERNANCE',
    'x-amz-object-lock-retain-until-date': new Date(Date.now() + 86_400_000).toISOString(),
  };
  const put = await maker('PUT', '/locked/a', 'kept', new Date(), lock);
  const path = `/locked/a?versionId=${encodeURIComponent(put.headers.get('x-amz-version-id') ?? '')}`;
  const bypass = { 'x-amz-bypass-governance-retention': 'true' };
  await setPolicy('locked', statement('locked', 'Allow', 's3:Delete*'));
  assert.equal((await stranger('DELETE', path, '', new Date(), bypass)).status, 403);
  await setPolicy('locked', statement('locked', 'Allow', 's3:*'), statement('locked', 'Deny', 's3:BypassGovernanceRetention'));
  for (const s3 of [maker, stranger, adminS3]) assert.equal((await s3('DELETE', path, '', new Date(), bypass)).status, 403);
  assert.equal(await (await maker('GET', path)).text(), 'kept');
});

test('row 4: a copy needs a right to its source', async () => {
  assert.equal((await maker('PUT', '/shared/source', 'mine')).status, 200);
  assert.equal((await adminS3('PUT', '/docs/private', 'of docs')).status, 200);
  for (const source of ['/docs/private', 'docs%2Fprivate', '/shared/../docs/private']) {
    const copy = await maker('PUT', '/shared/copy', '', new Date(), { 'x-amz-copy-source': source });
    assert.ok(copy.status === 403 || copy.status === 404, `${source} ${copy.status}`);
  }
  const taken = await stranger('PUT', '/docs/taken', '', new Date(), { 'x-amz-copy-source': '/shared/source' });
  assert.equal(taken.status, 403);
  assert.equal(existsSync(join(buckets, 'shared', 'copy')), false);
});

test('row 5: the address in a header is believed from nobody', async () => {
  const condition = { Condition: { IpAddress: { 'aws:SourceIp': '10.9.8.7/32' } } };
  await setPolicy('shared', statement('shared', 'Allow', 's3:GetObject', condition));
  for (const name of ['x-forwarded-for', 'x-real-ip', 'forwarded', 'x-cellar-client'])
    assert.equal((await anybody('GET', '/shared/a', { headers: { [name]: '10.9.8.7' } })).status, 403, name);
  await setPolicy(
    'shared',
    statement('shared', 'Allow', 's3:GetObject', { Condition: { IpAddress: { 'aws:SourceIp': '127.0.0.1' } } }),
  );
  assert.equal((await anybody('GET', '/shared/a')).status, 200);
  assert.equal((await maker('DELETE', '/shared?policy=')).status, 204);
});

test('row 6: a form uploads what its policy says and nothing else', async () => {
  const conditions = [
    ['starts-with', '$key', 'in/'],
    ['content-length-range', 1, 5],
  ];
  const post = (key: string, file: string, more: Readonly<Record<string, string>> = {}): Promise<Response> =>
    anybody('POST', '/shared', { body: signedForm(makerKeys, 'shared', { key, ...more }, file, conditions) });
  assert.equal((await post('in/good', 'fine')).status, 204);
  assert.equal((await post('in/large', 'too large')).status, 400);
  assert.equal((await post('out', 'fine')).status, 403);
  assert.equal((await post('in/acl', 'fine', { acl: 'public-read' })).status, 403);
  assert.equal((await post('in/type', 'fine', { 'Content-Type': 'text/html' })).status, 403);
  const unsigned = new FormData();
  unsigned.set('key', 'in/unsigned');
  unsigned.set('file', new Blob(['x']), 'x');
  assert.equal((await anybody('POST', '/shared', { body: unsigned })).status, 403);
  assert.deepEqual(readdirSync(join(buckets, 'shared', 'in')), ['good']);
});

test('row 7: no key leaves its bucket', async () => {
  writeFileSync(join(product.tmp, 'secret'), 'untouched');
  mkdirSync(join(buckets, 'else'));
  await setPolicy('shared', statement('shared', 'Allow', 's3:PutObject'), statement('shared', 'Allow', 's3:GetObject'));
  const port = Number(new URL(open).port);
  for (const key of [
    '../else/x',
    '..%2Felse%2Fx',
    '%2e%2e/else/x',
    '../../secret',
    '/etc/passwd',
    'a/../../else/x',
    '.cellar/x',
    '..\\else\\x',
  ]) {
    const socket = connect(port, '127.0.0.1');
    socket.write(`PUT /shared/${key} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nevil`);
    const answer = Buffer.concat(await Array.fromAsync<Buffer>(socket)).toString();
    assert.match(answer, /^HTTP\/1\.1 (200|400) /, key);
  }
  const body = '<Delete><Object><Key>../../secret</Key></Object><Object><Key>/../else</Key></Object></Delete>';
  assert.equal((await maker('POST', '/shared?delete=', body)).status, 200);
  assert.equal(readFileSync(join(product.tmp, 'secret'), 'utf8'), 'untouched');
  assert.deepEqual(readdirSync(join(buckets, 'else')), []);
  assert.deepEqual(readdirSync(product.tmp).sort(), ['buckets', 'maker.cedar', 'secret']);
  assert.equal((await maker('DELETE', '/shared?policy=')).status, 204);
});

test('row 8: there are no keys that everybody knows, and secrets are in no log', async () => {
  for (const [accessKey, secretKey] of [
    ['minioadmin', 'minioadmin'],
    ['rustfsadmin', 'rustfsadmin'],
    ['cellar', 'cellar'],
    ['admin', 'admin'],
  ] as const) {
    const answer = await signedFetch(product.url, { accessKey, secretKey })('GET', '/');
    assert.match(await answer.text(), /InvalidAccessKeyId/, accessKey);
  }
  const logs = readdirSync(join(product.home, 'logs')).map((name) => readFileSync(join(product.home, 'logs', name), 'utf8'));
  for (const secret of [admin.secretKey, makerKeys.secretKey])
    assert.equal(logs.some((log) => log.includes(secret)) || product.logs().includes(secret), false);
});

test('row 9: a key can do no more than what made it, and a denial gives nothing', async () => {
  const { token } = await product.json<{ token: string }>('token', 'create', '--as', 'maker', '--scope', 'data:read');
  const made = await product.rest('POST', '/api/v1/keys', { token, json: { name: 'reader' } });
  // Whoever may not make keys with such a token cannot get around it; whoever may gets a key that only reads.
  if (made.ok) {
    const reader = signedFetch(product.url, (await made.json()) as Keys);
    assert.equal((await reader('GET', '/shared/a')).status, 200);
    assert.equal((await reader('PUT', '/shared/a', 'changed')).status, 403);
    assert.equal((await reader('PUT', '/shared?policy=', '{}')).status, 403);
  }
  await setPolicy('shared', {
    ...statement('shared', 'Deny', 's3:DeleteObject'),
    Principal: undefined,
    NotPrincipal: { CanonicalUser: 'somebody' },
  });
  assert.equal((await stranger('GET', '/shared/a')).status, 403);
  assert.equal((await stranger('DELETE', '/shared/a')).status, 403);
  assert.equal((await maker('DELETE', '/shared?policy=')).status, 204);
});

test('row 10: an object that is a page cannot act, and no page of others is let in', async () => {
  const type = { 'content-type': 'text/html' };
  assert.equal((await maker('PUT', '/shared/page.html', '<script>alert(1)</script>', new Date(), type)).status, 200);
  const page = await maker('GET', '/shared/page.html', '', new Date(), { origin: 'https://evil.example' });
  assert.equal(page.headers.get('x-content-type-options'), 'nosniff');
  assert.match(page.headers.get('content-security-policy') ?? '', /sandbox/);
  assert.equal(page.headers.get('access-control-allow-origin'), null);
  const cors =
    '<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>';
  assert.equal((await maker('PUT', '/shared?cors=', cors)).status, 200);
  const allowed = await maker('GET', '/shared/page.html', '', new Date(), { origin: 'https://evil.example' });
  assert.equal(allowed.headers.get('access-control-allow-origin'), '*');
  assert.equal(allowed.headers.get('access-control-allow-credentials'), null);
});

test('row 13: what is encrypted is not on the disk as it is', async () => {
  const sse = { 'x-amz-server-side-encryption': 'AES256' };
  const text = 'a text that nobody reads on the disk';
  const put = await maker('PUT', '/shared/sealed', text, new Date(), sse);
  assert.equal(put.status, 200, await put.text());
  assert.equal(readFileSync(join(buckets, 'shared', 'sealed')).includes('nobody reads'), false);
  const got = await maker('GET', '/shared/sealed');
  assert.deepEqual([await got.text(), got.headers.get('x-amz-server-side-encryption')], [text, 'AES256']);
});

test('row 17: links lead nowhere', async () => {
  symlinkSync(join(product.tmp, 'secret'), join(buckets, 'shared', 'link'));
  symlinkSync(product.tmp, join(buckets, 'shared', 'linked'));
  for (const path of ['/shared/link', '/shared/linked/secret']) {
    assert.equal((await maker('GET', path)).status, 404, path);
    const copy = await maker('PUT', '/shared/copied', '', new Date(), { 'x-amz-copy-source': path });
    assert.equal(copy.status, 404, path);
  }
  await maker('PUT', '/shared/linked/new', 'evil');
  await maker('DELETE', '/shared/linked/secret');
  assert.equal(existsSync(join(product.tmp, 'new')), false);
  assert.equal(readFileSync(join(product.tmp, 'secret'), 'utf8'), 'untouched');
});
