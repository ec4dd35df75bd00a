import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Product, run, startProduct, waitUntil } from './harness.ts';

let product: Product;
before(async () => {
  product = await startProduct({ isOneProcess: true });
});
after(async () => {
  await product?.[Symbol.asyncDispose]();
});

test('a start that cannot be says what, why and what to do, and leaves nothing running', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const busy = String((server.address() as AddressInfo).port);
  t.after(() => server.close());
  const file = join(product.tmp, 'file');
  writeFileSync(file, '');
  let homes = 0;
  const home = (config = ''): string => {
    const path = join(product.tmp, `home-${++homes}`);
    mkdirSync(path);
    if (config) writeFileSync(join(path, 'cellar.yaml'), config);
    return path;
  };
  const cases: [string, string[], RegExp][] = [
    ['unknown option', ['--prot', '1', '--home', home()], /--prot[\s\S]*--port/],
    ['port that is no number', ['--port', 'eighty', '--home', home()], /port[\s\S]*65535/],
    ['port out of range', ['--port', '70000', '--home', home()], /port[\s\S]*65535/],
    ['port in use', ['--port', busy, '--home', home()], new RegExp(`${busy}[\\s\\S]*hint:`)],
    [
      'missing folder',
      ['--port', '0', '--home', home(), '--datasource', 'docs=/nonexistent/folder'],
      /\/nonexistent\/folder as "docs": there is no such/,
    ],
    ['folder that is a file', ['--port', '0', '--home', home(), '--datasource', `docs=${file}`], /docs/],
    ['bad datasource name', ['--port', '0', '--home', home(), '--datasource', `Do_cs=${product.tmp}`], /Do_cs/],
    ['datasource without a folder', ['--port', '0', '--home', home(), '--datasource', 'docs'], /docs/],
    ['home that is a file', ['--port', '0', '--home', file], /home/i],
    ['unknown key', ['--port', '0', '--home', home('gatway:\n  port: 1\n')], /gatway/],
    ['bad value', ['--port', '0', '--home', home('gateway:\n  port: many\n')], /gateway\.port[\s\S]*65535/],
    [
      'several mistakes at once',
      ['--port', '0', '--home', home('gatway: {}\nlog:\n  level: loud\n')],
      /gatway[\s\S]*loud|loud[\s\S]*gatway|log\.level[\s\S]*gatway|gatway[\s\S]*log\.level/,
    ],
    ['not YAML', ['--port', '0', '--home', home('a: [1\n')], /cellar\.yaml/],
  ];
  for (const [name, args, expected] of cases) {
    await t.test(name, async () => {
      const { exitCode, stderr } = await run(['start', ...args, '--no-fork'], { timeoutMs: 20_000, env: { HOME: product.tmp } });
      assert.notEqual(exitCode, -1, `it did not end:\n${stderr}`);
      assert.notEqual(exitCode, 0, stderr);
      assert.match(stderr, expected);
      assert.match(stderr, /^cellar: /m);
      assert.doesNotMatch(stderr, /\n\s+at .*\.ts:\d+/, 'a stack was shown');
    });
  }
});

test('requests that cannot be', async (t) => {
  const big = 'x'.repeat(9 * 1024 * 1024);
  const json = { 'content-type': 'application/json' };
  const cases: [string, string, string, Parameters<Product['rest']>[2], number | number[]][] = [
    ['no credentials', 'GET', '/api/v1/me', { token: null }, 401],
    ['unknown token', 'GET', '/api/v1/me', { token: 'not-a-token' }, 401],
    ['malformed authorization', 'GET', '/api/v1/me', { token: null, headers: { authorization: 'Basic eA==' } }, 401],
    ['unknown path', 'GET', '/api/v1/nothing', {}, 404],
    ['wrong verb', 'PATCH', '/api/v1/me', { json: {} }, [404, 405]],
    ['malformed JSON', 'POST', '/api/v1/tokens', { body: '{"name":', headers: json }, 400],
    ['wrong type', 'POST', '/api/v1/tokens', { json: { name: 7 } }, 400],
    ['unknown field', 'POST', '/api/v1/tokens', { json: { nmae: 'x' } }, 400],
    ['rule of a field', 'POST', '/api/v1/tokens', { json: { scopes: ['all of it'] } }, 400],
    ['JSON that is a list', 'POST', '/api/v1/tokens', { json: [] }, 400],
    ['not JSON', 'POST', '/api/v1/tokens', { body: 'x', headers: { 'content-type': 'text/plain' } }, [400, 415]],
    ['oversized body', 'POST', '/api/v1/tokens', { body: JSON.stringify({ name: big }), headers: json }, [400, 413]],
    ['bad query value', 'GET', '/api/v1/tree/docs:list?pageSize=many', {}, 400],
    ['unknown query field', 'GET', '/api/v1/tree/docs:list?pagesize=1', {}, 400],
    ['page too large', 'GET', '/api/v1/tree/docs:list?pageSize=10001', {}, 400],
    ['foreign page token', 'GET', '/api/v1/tree/docs:list?pageToken=xyz', {}, 400],
    ['missing file', 'GET', '/api/v1/tree/docs/none', {}, 404],
    ['missing datasource', 'GET', '/api/v1/tree/none', {}, 404],
    ['upload to a missing datasource', 'PUT', '/api/v1/content/none/x', { body: 'x' }, 404],
    ['upload beside the tree', 'PUT', '/api/v1/content/docs/%2e%2e/%2e%2e/x', { body: 'x' }, [400, 404]],
    ['zero byte in a name', 'PUT', '/api/v1/content/docs/a%00b', { body: 'x' }, 400],
    ['name that is too long', 'PUT', `/api/v1/content/docs/${'x'.repeat(300)}`, { body: 'x' }, 400],
    ['download of a folder', 'GET', '/api/v1/content/docs', {}, [400, 404, 409, 412]],
  ];
  for (const [name, method, path, init, expected] of cases) {
    await t.test(name, async () => {
      const answer = await product.rest(method, path, init);
      const text = await answer.text();
      assert.ok([expected].flat().includes(answer.status), `${answer.status}: ${text}`);
      assert.match(answer.headers.get('content-type') ?? '', /application\/problem\+json/);
      const problem = JSON.parse(text) as { title?: string; detail?: string; status?: number };
      assert.equal(problem.status, answer.status);
      assert.ok(problem.detail || problem.title, text);
      assert.doesNotMatch(text, /node_modules|\.ts:\d+/, 'the answer tells of the inside');
    });
  }
});

test('an expired token is refused', async () => {
  const { token } = await product.json<{ token: string }>('token', 'create', 'short', '--expires', '1s');
  await waitUntil(async () => (await product.rest('GET', '/api/v1/me', { token })).status === 401, 10_000);
});

test('a token does no more than its scopes', async () => {
  const { token } = await product.json<{ token: string }>('token', 'create', 'reader', '--scope', 'data:read');
  assert.equal((await product.rest('GET', '/api/v1/tree:list', { token })).status, 200);
  assert.equal((await product.rest('PUT', '/api/v1/content/docs/no.txt', { token, body: 'no' })).status, 403);
  assert.equal((await product.rest('GET', '/api/v1/users', { token })).status, 403);
});

test('a user is refused what nobody allowed', async () => {
  await product.cliWith({ input: 'a-long-password\n' }, 'user', 'add', 'eve', '--password-stdin');
  const { token } = await product.json<{ token: string }>('token', 'create', 'eve', '--as', 'eve');
  for (const [method, path] of [
    ['GET', '/api/v1/users'],
    ['GET', '/api/v1/services'],
    ['DELETE', '/api/v1/datasources/docs'],
  ] as const) {
    assert.equal((await product.rest(method, path, { token })).status, 403, path);
  }
  assert.equal((await product.cli('user', 'disable', 'eve')).exitCode, 0);
  await waitUntil(async () => (await product.rest('GET', '/api/v1/me', { token })).status === 401, 5000);
});

test('too many failed logins are slowed down', async () => {
  let status = 0;
  for (let attempt = 0; attempt < 40 && status !== 429; attempt++) {
    status = (await product.rest('POST', '/api/v1/login', { token: null, json: { name: 'mallory', password: 'guess' } })).status;
  }
  assert.equal(status, 429);
});

test('a broken upload leaves nothing', async () => {
  const { port } = new URL(product.url);
  const { token } = await product.json<{ token: string }>('token', 'create', 'broken');
  const socket = connect(Number(port), '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(
    `PUT /api/v1/content/docs/broken.bin HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(1000)}`,
    () => setTimeout(() => socket.destroy(), 100),
  );
  await new Promise((done) => socket.on('close', done));
  assert.equal((await product.rest('GET', '/api/v1/tree/docs/broken.bin')).status, 404);
  const listed = await product.json<{ path: string }[]>('ls', '-R', 'docs');
  assert.deepEqual(
    listed.filter(({ path }) => path.includes('broken')),
    [],
  );
});

test('bytes that are no HTTP do not disturb', async () => {
  const { port } = new URL(product.url);
  for (const bytes of ['\x00\x01\x02\x03\r\n\r\n', `GET /${'x'.repeat(100_000)} HTTP/1.1\r\n\r\n`, 'GET / HTTP/9.9\r\n\r\n']) {
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => undefined).resume();
    socket.end(bytes);
    await new Promise((done) => socket.on('close', done));
  }
  assert.equal((await fetch(`${product.url}/health/live`)).status, 200);
});

test('a folder that may not be written', {
  skip: process.getuid?.() === 0 ? 'the superuser may write everywhere; run as another user' : false,
}, async () => {
  const folder = join(product.folder('docs'), 'locked');
  mkdirSync(folder);
  chmodSync(folder, 0o555);
  const answer = await product.rest('PUT', '/api/v1/content/docs/locked/x', { body: 'x' });
  assert.ok([403, 409, 412].includes(answer.status), String(answer.status));
});
