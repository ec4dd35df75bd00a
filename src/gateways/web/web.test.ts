import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { hasOption } from '@bufbuild/protobuf';
import { Users } from '#gen/cellar/identity/v1/users_pb.ts';
import { http } from '#gen/google/api/annotations_pb.ts';
import { createRestClient } from '#kernel/rest/client.ts';
import type { Problem } from '#kernel/rest/problem.ts';
import { ServiceState } from '#kernel/services/registry.ts';
import { presignQuery } from '#lib/sigv4-signer.ts';
import { contracts } from './contracts.ts';
import { askS3, createKey, postJson, startTestGateway, type TestGateway } from './testing/start-gateway.ts';

async function problemOf(response: Response): Promise<Problem> {
  assert.equal(response.headers.get('content-type'), 'application/problem+json');
  return (await response.json()) as Problem;
}

/** Everything the server says to bytes sent as they are, until it closes the connection. */
function say(gateway: TestGateway, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
    let answer = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      answer += chunk;
    });
    socket.once('close', () => resolve(answer)).once('error', reject);
    socket.write(text);
  });
}

test('every contract with an HTTP binding is served', async () => {
  const folder = new URL('../../gen/cellar/', import.meta.url);
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (name) => /_pb\.ts$/.test(name) && !name.startsWith('testing'),
  );
  const bound: string[] = [];
  for (const file of files) {
    const exported = Object.values((await import(new URL(file, folder).href)) as Record<string, { kind?: string; methods?: [] }>);
    for (const desc of exported as unknown as typeof contracts)
      if (desc.kind === 'service' && desc.methods.some((method) => hasOption(method, http))) bound.push(desc.typeName);
  }
  assert.deepEqual(contracts.map((desc) => desc.typeName).toSorted(), bound.toSorted());
});

test('pages, documents, health and metrics are there, and safe in a browser', async () => {
  await using gateway = await startTestGateway({ opensDiagnostics: true });
  for (const path of ['/', '/api', '/api/openapi.json', '/health/live', '/health/ready', '/metrics']) {
    const response = await fetch(gateway.url + path);
    assert.equal(response.status, 200, path);
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff', path);
    assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'none'.*frame-ancestors 'none'/, path);
    assert.equal(response.headers.get('access-control-allow-origin'), null, path);
    await response.body?.cancel();
  }
  const page = await fetch(`${gateway.url}/api`);
  assert.doesNotMatch(
    (await page.text()).replaceAll("xmlns='http://www.w3.org/2000/svg'", ''),
    /https?:\/\//,
    'a page needs another server',
  );
  const again = await fetch(`${gateway.url}/api`, { headers: { 'if-none-match': page.headers.get('etag') ?? '' } });
  assert.equal(again.status, 304);
  const posted = await fetch(`${gateway.url}/api`, { method: 'POST' });
  assert.deepEqual([posted.status, posted.headers.get('allow')], [405, 'GET, HEAD']);
  assert.equal((await problemOf(await fetch(`${gateway.url}/nothing`))).reason, 'no_such_route');
  const other = await fetch(`${gateway.url}/api/v1/me`, {
    method: 'OPTIONS',
    headers: { origin: 'http://evil', 'access-control-request-method': 'GET' },
  });
  assert.equal(other.headers.get('access-control-allow-origin'), null);
  await other.body?.cancel();
});

test('ready says which service is not, and why', async () => {
  await using gateway = await startTestGateway({ opensDiagnostics: true });
  const { registry } = gateway.platform.surroundings;
  const index = registry.get('cellar.grpc.data.index.docs');
  assert.ok(index);
  registry.set({ ...index, state: ServiceState.Backoff, reason: 'it ended with code 1' });
  const response = await fetch(`${gateway.url}/health/ready`);
  assert.equal(response.status, 503);
  const body = (await response.json()) as { status: string; services: { service: string; state: string; reason?: string }[] };
  assert.equal(body.status, 'not_ready');
  assert.deepEqual(
    body.services.find(({ service }) => service === index.service),
    {
      service: index.service,
      state: 'backoff',
      reason: 'it ended with code 1',
    },
  );
});

test('strangers hear whether all is ready, and no more', async () => {
  await using gateway = await startTestGateway();
  const auth = { authorization: `Bearer ${gateway.token}` };
  assert.equal((await fetch(`${gateway.url}/metrics`)).status, 401);
  assert.equal((await fetch(`${gateway.url}/metrics`, { headers: auth })).status, 200);
  assert.equal('services' in ((await (await fetch(`${gateway.url}/health/ready`)).json()) as object), false);
  assert.equal('services' in ((await (await fetch(`${gateway.url}/health/ready`, { headers: auth })).json()) as object), true);
});

test('signing in sets a cookie that other sites cannot use; signing out clears it', async () => {
  await using gateway = await startTestGateway();
  const { url, admin } = gateway;
  const wrong = await postJson(`${url}/api/v1/login`, { ...admin, password: 'wrong' }, { cookie: 'cellar_session=old' });
  assert.equal(wrong.status, 401);
  await wrong.body?.cancel();
  const login = await postJson(`${url}/api/v1/login`, admin);
  const set = login.headers.get('set-cookie') ?? '';
  assert.match(set, /^cellar_session=\S+; Path=\/; HttpOnly; SameSite=Strict; Max-Age=\d+$/);
  await login.body?.cancel();
  const cookie = set.split(';')[0] ?? '';
  const me = (await (await fetch(`${url}/api/v1/me`, { headers: { cookie } })).json()) as { user: { name: string } };
  assert.equal(me.user.name, 'admin');

  const table: [Record<string, string>, number][] = [
    [{}, 403],
    [{ origin: 'http://evil.example' }, 403],
    [{ origin: url, 'sec-fetch-site': 'cross-site' }, 403],
    [{ 'sec-fetch-site': 'same-site' }, 403],
    [{ origin: url }, 200],
    [{ 'sec-fetch-site': 'same-origin' }, 200],
  ];
  for (const [headers, status] of table) {
    const response = await postJson(`${url}/api/v1/tokens`, { name: 'x' }, { cookie, ...headers });
    assert.equal(response.status, status, JSON.stringify(headers));
    await response.body?.cancel();
  }
  const logout = await postJson(`${url}/api/v1/logout`, {}, { cookie, origin: url });
  assert.match(logout.headers.get('set-cookie') ?? '', /^cellar_session=; .*Max-Age=0/);
  await logout.body?.cancel();
  assert.equal((await fetch(`${url}/api/v1/me`, { headers: { cookie } })).status, 401);
});

test('calls are refused without credentials, with bad ones, and where role, scope or policy say no', async () => {
  await using gateway = await startTestGateway();
  const { url, token } = gateway;
  const reasonOf = async (headers: Record<string, string>, path = '/api/v1/users'): Promise<string> => {
    const response = await fetch(url + path, { headers });
    if (response.ok) return 'ok';
    return (await problemOf(response)).reason;
  };
  const as = (given: string) => ({ authorization: `Bearer ${given}` });
  assert.equal(await reasonOf({}), 'unauthenticated');
  assert.match(await reasonOf(as('cellar_forged')), /unauthenticated|token/);
  assert.match(await reasonOf(as('x'.repeat(5000))), /unauthenticated|invalid/);
  assert.equal(await reasonOf(as(token)), 'ok');
  const narrow = (await (await postJson(`${url}/api/v1/tokens`, { name: 'n', scopes: ['data:read'] }, as(token))).json()) as {
    token: string;
  };
  assert.equal(await reasonOf(as(narrow.token)), 'scope_missing');
  await createRestClient(Users, { baseUrl: url, token }).createUser({ name: 'bob', password: 'a long password' });
  const bob = (await (await postJson(`${url}/api/v1/login`, { name: 'bob', password: 'a long password' })).json()) as {
    token: string;
  };
  assert.match(await reasonOf(as(bob.token)), /policy_denied|role_missing/);
});

test('S3 is known by its signature and handed to the service that has the bucket', async () => {
  await using gateway = await startTestGateway();
  const key = await createKey(gateway);
  const list = await askS3(gateway, key, 'GET', '/');
  assert.equal(list.status, 200);
  assert.match(await list.text(), /<Bucket><Name>docs<\/Name>/);
  const get = await askS3(gateway, key, 'GET', '/docs/hello.txt');
  assert.equal(await get.text(), 'hello');
  const put = await askS3(gateway, key, 'PUT', '/docs/a/b.txt', 'written by S3');
  assert.equal(put.status, 200);
  assert.equal(readFileSync(`${gateway.folder}/a/b.txt`, 'utf8'), 'written by S3');
  const { host } = new URL(gateway.url);
  const query = presignQuery(
    { method: 'GET', path: '/docs/hello.txt', query: [], headers: new Map([['host', host]]) },
    60,
    key,
    Date.now(),
  );
  const presigned = await fetch(
    `${gateway.url}/docs/hello.txt?${new URLSearchParams(query.map(([name, value]) => [name, value]))}`,
  );
  assert.equal(await presigned.text(), 'hello');

  const missing = await askS3(gateway, key, 'GET', '/nothing/x');
  assert.deepEqual([missing.status, /<Code>(.*?)</.exec(await missing.text())?.[1]], [404, 'NoSuchBucket']);
  for (const path of ['/docs/hello.txt', '/nothing/x', '/']) {
    const forged = await askS3(gateway, { ...key, secretKey: 'forged' }, 'GET', path);
    assert.deepEqual([forged.status, /<Code>(.*?)</.exec(await forged.text())?.[1]], [403, 'SignatureDoesNotMatch'], path);
  }
  assert.equal((await fetch(`${gateway.url}/docs/hello.txt`)).headers.get('content-type'), 'application/problem+json');
});

test('a bucket whose service is away is answered at once, as S3', async () => {
  await using gateway = await startTestGateway();
  const key = await createKey(gateway);
  gateway.platform.surroundings.http.delete('cellar.grpc.data.objects.local1');
  const response = await askS3(gateway, key, 'GET', '/docs/hello.txt');
  assert.equal(response.status, 503);
  assert.match(await response.text(), /<Code>(SlowDown|ServiceUnavailable)</);
});

test('buckets are listed only to who may read them', async () => {
  await using gateway = await startTestGateway();
  const { url, token } = gateway;
  await createRestClient(Users, { baseUrl: url, token }).createUser({ name: 'bob', password: 'a long password' });
  const bob = (await (await postJson(`${url}/api/v1/login`, { name: 'bob', password: 'a long password' })).json()) as {
    token: string;
  };
  const key = await createKey(gateway, bob.token);
  const listed = async () => /<Name>docs<\/Name>/.test(await (await askS3(gateway, key, 'GET', '/')).text());
  assert.equal(await listed(), false);
  const put = await fetch(`${url}/api/v1/policies/docs-for-users`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ text: 'permit(principal in Role::"user", action == Action::"data:read", resource in Path::"docs");' }),
  });
  assert.equal(put.status, 200, await put.text());
  assert.equal(await listed(), true);
});

test('only hosts that are allowed are answered for', async () => {
  await using gateway = await startTestGateway({ allowedHosts: ['127.0.0.1', 'cellar.example'] });
  const ask = (host: string) => say(gateway, `GET /health/live HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
  assert.match(await ask('cellar.example:8080'), /^HTTP\/1.1 200/);
  assert.match(await ask('evil.example'), /^HTTP\/1.1 421[\s\S]*host_not_allowed/);
});

test('what is not HTTP, too long or too slow is refused', async () => {
  await using gateway = await startTestGateway({ headerTimeoutSeconds: 1 });
  assert.match(await say(gateway, 'hello\r\n\r\n'), /^HTTP\/1.1 400[\s\S]*malformed_request/);
  assert.match(await say(gateway, `GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`), /^HTTP\/1.1 431/);
  assert.match(await say(gateway, `GET /${'y'.repeat(40_000)} HTTP/1.1\r\nhost: x\r\n\r\n`), /^HTTP\/1.1 431/);
  assert.match(await say(gateway, 'GET / HTTP/1.1\r\nhost: x\r\nx-slow: '), /^HTTP\/1.1 408/);
  const smuggled = 'POST /api/v1/login HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n';
  assert.match(await say(gateway, smuggled), /^HTTP\/1.1 400/);
});
