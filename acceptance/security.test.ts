import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { linkSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Product, startProduct } from './harness.ts';
import { signedFetch } from './signed-fetch.ts';

type SignedFetch = ReturnType<typeof signedFetch>;

let product: Product;
let s3: SignedFetch;
/** A file next to the datasources' folders that nobody may reach. */
let outside: string;

before(async () => {
  product = await startProduct();
  s3 = await s3Of();
  outside = join(product.tmp, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'secret'), 'untouched');
});
after(async () => {
  await product?.[Symbol.asyncDispose]();
});

async function s3Of(user?: string): Promise<SignedFetch> {
  const as = user === undefined ? [] : ['--as', user];
  return signedFetch(product.url, await product.json<{ accessKey: string; secretKey: string }>('key', 'create', ...as));
}

async function tokenOf(user: string, ...words: string[]): Promise<string> {
  return (await product.json<{ token: string }>('token', 'create', '--as', user, ...words)).token;
}

/** A user without a password, whom only this policy lets in. */
async function addUser(name: string, policy?: string): Promise<{ token: string; s3: SignedFetch }> {
  assert.equal((await product.cli('user', 'add', name)).exitCode, 0);
  if (policy !== undefined) {
    const file = join(product.tmp, `${name}.cedar`);
    writeFileSync(file, policy);
    const { exitCode, stderr } = await product.cli('policy', 'set', name, file);
    assert.equal(exitCode, 0, stderr);
  }
  return { token: await tokenOf(name), s3: await s3Of(name) };
}

/** Sends bytes as they are and gives all that comes until the server closes. */
async function talk(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(product.url).port), '127.0.0.1');
  socket.write(bytes);
  return Buffer.concat(await Array.fromAsync<Buffer>(socket)).toString();
}

test('paths that lead out are refused, however they are written', async () => {
  const token = await tokenOf('admin');
  const head = `Host: x\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\n`;
  for (const path of [
    'docs/../x',
    'docs/%2e%2e/x',
    'docs/..%2fx',
    'docs/%c0%ae%c0%ae/x',
    'docs/a%00b',
    'docs//x',
    'docs/.cellar/x',
  ]) {
    for (const [method, body] of [
      ['GET', ''],
      ['PUT', 'Content-Length: 4\r\n\r\nevil'],
    ] as const) {
      const answer = await talk(`${method} /api/v1/content/${path} HTTP/1.1\r\n${head}${body || '\r\n'}`);
      // Our own folder has no files for anybody.
      const isOwn = path === 'docs/.cellar/x' && method === 'GET';
      assert.match(answer, isOwn ? /^HTTP\/1\.1 404 / : /^HTTP\/1\.1 400 /, `${method} ${path}`);
    }
  }
});

test('what is no file and no folder is not there, and nothing is reached through a link', async (t) => {
  const folder = join(product.folder('docs'), 'odd');
  mkdirSync(folder);
  writeFileSync(join(folder, 'file'), 'x');
  symlinkSync(join(outside, 'secret'), join(folder, 'link'));
  symlinkSync(outside, join(folder, 'linked'));
  symlinkSync('loop', join(folder, 'loop'));
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  const server = createServer().listen(join(folder, 'socket'));
  await once(server, 'listening');
  t.after(() => server.close());

  for (const name of ['link', 'linked', 'linked/secret', 'loop', 'pipe', 'socket']) {
    assert.equal((await product.rest('GET', `/api/v1/content/docs/odd/${name}`)).status, 404, name);
    assert.equal((await s3('GET', `/docs/odd/${name}`)).status, 404, name);
    for (const verb of ['copy', 'move']) {
      const answer = await product.rest('POST', `/api/v1/tree/docs/odd/${name}:${verb}`, { json: { target: 'media/taken' } });
      assert.equal(answer.status, 404, `${verb} ${name}`);
    }
    assert.equal((await product.rest('DELETE', `/api/v1/tree/docs/odd/${name}?recursive=true`)).status, 404, name);
    assert.equal((await s3('DELETE', `/docs/odd/${name}`)).status, 204, name);
  }
  assert.equal((await product.rest('PUT', '/api/v1/content/docs/odd/linked/new', { body: 'evil' })).status, 400);
  // Over S3 it is a key like others, whose content lies apart.
  assert.equal((await s3('PUT', '/docs/odd/linked/new', 'apart')).status, 200);
  assert.equal(await (await s3('GET', '/docs/odd/linked/new')).text(), 'apart');
  for (const target of ['docs/odd/linked/new', 'docs/odd/link/new'])
    assert.equal((await product.rest('POST', '/api/v1/tree/docs/odd/file:move', { json: { target } })).status, 400, target);
  assert.deepEqual(readdirSync(outside), ['secret']);
});

test('a write to a name that is a link or shared with another file replaces the name, not what it led to', async () => {
  const folder = join(product.folder('docs'), 'replaced');
  mkdirSync(folder);
  symlinkSync(join(outside, 'secret'), join(folder, 'link'));
  linkSync(join(outside, 'secret'), join(folder, 'hard'));
  for (const name of ['link', 'hard']) {
    assert.equal((await product.rest('PUT', `/api/v1/content/docs/replaced/${name}`, { body: 'new' })).status, 200);
    assert.equal(readFileSync(join(folder, name), 'utf8'), 'new');
  }
  assert.equal(readFileSync(join(outside, 'secret'), 'utf8'), 'untouched');
});

test('our own folder that somebody made a link is not written through', async () => {
  await using other = await startProduct({ datasources: ['trap'] });
  const taken = join(other.tmp, 'taken');
  mkdirSync(taken);
  symlinkSync(taken, join(other.folder('trap'), '.cellar'));
  const answer = await other.rest('PUT', '/api/v1/content/trap/x', { body: 'x' });
  assert.equal(answer.status, 400);
  assert.match(await answer.text(), /private_folder_taken/);
  assert.deepEqual(readdirSync(taken), []);
});

test('a user whom no policy allows anything sees nothing', async () => {
  const { token, s3: own } = await addUser('nobody');
  assert.deepEqual(await (await product.rest('GET', '/api/v1/tree:list', { token })).json(), {});
  assert.deepEqual(await (await product.rest('GET', '/api/v1/datasources', { token })).json(), {});
  for (const path of [
    'tree/docs',
    'tree/docs:list',
    'tree/none:list',
    'content/docs/x',
    'tree/docs:watch',
    'datasources/docs',
    'datasources/none',
  ])
    assert.equal((await product.rest('GET', `/api/v1/${path}`, { token })).status, 403, path);
  for (const path of ['users', 'policies', 'services', 'logs', 'settings'])
    assert.equal((await product.rest('GET', `/api/v1/${path}`, { token })).status, 403, path);
  assert.match(await (await own('GET', '/')).text(), /<Buckets><\/Buckets>/);
  for (const path of ['/docs', '/docs/x', '/docs?uploads=', '/docs?location='])
    assert.equal((await own('GET', path)).status, 403, path);
  // As S3 has it: names of buckets are no secret, since they are one for all.
  assert.equal((await own('GET', '/none')).status, 404);
  assert.equal((await own('PUT', '/docs/x', 'x')).status, 403);
});

test('a policy on a folder does not reach a sibling whose name begins with its name', async () => {
  for (const folder of ['team', 'teams']) {
    assert.equal((await product.rest('PUT', `/api/v1/content/docs/${folder}/file`, { body: folder })).status, 200);
  }
  const { token, s3: own } = await addUser(
    'tess',
    'permit(principal, action in [Action::"data:read", Action::"data:write"], resource in Path::"docs/team") when { principal.name == "tess" };',
  );
  const status = async (method: string, path: string, target?: string): Promise<number> =>
    (await product.rest(method, `/api/v1/${path}`, { token, ...(target === undefined ? {} : { json: { target } }) })).status;
  assert.equal(await status('GET', 'content/docs/team/file'), 200);
  assert.equal(await status('GET', 'content/docs/teams/file'), 403);
  for (const verb of ['copy', 'move']) {
    assert.equal(await status('POST', `tree/docs/teams/file:${verb}`, 'docs/team/stolen'), 403, 'the source is read');
    assert.equal(await status('POST', `tree/docs/team/file:${verb}`, 'docs/teams/planted'), 403, 'the target is written');
  }
  assert.equal((await own('GET', '/docs?list-type=2&prefix=team/')).status, 200);
  assert.equal((await own('GET', '/docs?list-type=2&prefix=team')).status, 403);
  assert.equal((await own('GET', '/docs?list-type=2&prefix=teams/')).status, 403);
  const copies = await signedCopy('tess', 'docs/teams/file', '/docs/team/stolen');
  assert.equal(copies, 403);
});

test('who may not reach something in a folder does not get it with the folder', async () => {
  for (const name of ['open', 'private/file']) {
    assert.equal((await product.rest('PUT', `/api/v1/content/docs/whole/${name}`, { body: name })).status, 200);
  }
  const { token, s3: own } = await addUser(
    'carl',
    `permit(principal, action in [Action::"data:read", Action::"data:write"], resource in Path::"docs") when { principal.name == "carl" };
     forbid(principal, action, resource in Path::"docs/whole/private") when { principal.name == "carl" };`,
  );
  for (const verb of ['copy', 'move']) {
    const answer = await product.rest('POST', `/api/v1/tree/docs/whole:${verb}`, { token, json: { target: 'docs/mine' } });
    assert.equal(answer.status, 403, verb);
  }
  assert.equal((await product.rest('DELETE', '/api/v1/tree/docs/whole?recursive=true', { token })).status, 403);
  assert.equal((await own('GET', '/docs')).status, 403);
  assert.equal((await own('GET', '/docs?prefix=whole/&delimiter=/')).status, 200);
  const file = await product.rest('POST', '/api/v1/tree/docs/whole/open:move', { token, json: { target: 'docs/whole/opened' } });
  assert.equal(file.status, 200, await file.clone().text());
  assert.equal(readFileSync(join(product.folder('docs'), 'whole', 'private', 'file'), 'utf8'), 'private/file');
});

test('a token with a scope can neither do more nor make a credential that can', async () => {
  const token = await tokenOf('admin', '--scope', 'data:read');
  assert.equal((await product.rest('GET', '/api/v1/tree/docs:list', { token })).status, 200);
  for (const [method, path, json] of [
    ['PUT', 'content/docs/scoped', undefined],
    ['POST', 'tree/docs/scoped:mkdir', {}],
    ['DELETE', 'tree/docs/team/file', undefined],
    ['POST', 'tokens', { name: 'more' }],
    ['POST', 'keys', { name: 'more' }],
  ] as const)
    assert.equal((await product.rest(method, `/api/v1/${path}`, { token, ...(json ? { json } : {}) })).status, 403, path);
  const identity = await tokenOf('admin', '--scope', 'identity:write');
  for (const [path, json] of [
    ['tokens', { name: 'more', scopes: ['data:read'] }],
    ['tokens', { name: 'more' }],
    ['keys', { name: 'more' }],
  ] as const)
    assert.equal((await product.rest('POST', `/api/v1/${path}`, { token: identity, json })).status, 403, path);
});

test('a disabled user is out at once, with token and key', async () => {
  const { token, s3: own } = await addUser('dan', 'permit(principal, action, resource) when { principal.name == "dan" };');
  assert.equal((await product.rest('GET', '/api/v1/tree/docs:list', { token })).status, 200);
  assert.equal((await own('GET', '/docs')).status, 200);
  assert.equal((await product.cli('user', 'disable', 'dan')).exitCode, 0);
  assert.equal((await product.rest('GET', '/api/v1/tree/docs:list', { token })).status, 401);
  assert.equal((await own('GET', '/docs')).status, 403);
});

test('an uploaded page does not act in our name', async () => {
  await product.rest('PUT', '/api/v1/content/docs/page.html', {
    body: '<script>1</script>',
    headers: { 'content-type': 'text/html' },
  });
  for (const answer of [await product.rest('GET', '/api/v1/content/docs/page.html'), await s3('GET', '/docs/page.html')]) {
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('content-security-policy') ?? '', /default-src 'none'.*sandbox$/);
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
  }
});

test('the session of a browser is of no use to a page of another origin', async () => {
  const password = /password: +(\S+)/.exec(readFileSync(join(product.home, 'first-login.txt'), 'utf8'))?.[1];
  const signedIn = await product.rest('POST', '/api/v1/login', { token: null, json: { name: 'admin', password } });
  const cookie = signedIn.headers.get('set-cookie') ?? '';
  assert.match(cookie, /; HttpOnly; SameSite=Strict;/);
  const session = cookie.split(';')[0] ?? '';
  for (const [headers, status] of [
    [{ origin: 'http://evil.example' }, 403],
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{}, 403],
    [{ origin: product.url }, 200],
  ] as const) {
    const answer = await talk(
      `POST /api/v1/tree/docs/session:mkdir HTTP/1.1\r\nHost: ${new URL(product.url).host}\r\nConnection: close\r\nCookie: ${session}\r\n${Object.entries(
        headers,
      )
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('')}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
    );
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), JSON.stringify(headers));
    assert.doesNotMatch(answer, /access-control-/i);
  }
});

test('requests whose length is told twice are refused', async () => {
  for (const lengths of [
    'Content-Length: 2\r\nContent-Length: 5',
    'Content-Length: 2\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding : chunked',
    'Transfer-Encoding: xchunked',
    'Content-Length: -1',
  ])
    assert.match(
      await talk(`POST /api/v1/login HTTP/1.1\r\nHost: x\r\n${lengths}\r\n\r\n{}`),
      /^HTTP\/1\.1 400 [\s\S]*}$/,
      lengths,
    );
});

test('bodies that are made to explode are refused', async () => {
  const { pid } = (await product.json<{ pid: number }[]>('ps'))[0] ?? { pid: 0 };
  for (const json of ['['.repeat(60_000), `${'['.repeat(30_000)}${']'.repeat(30_000)}`, `"${'x'.repeat(100_000)}"`]) {
    const answer = await product.rest('POST', '/api/v1/login', {
      token: null,
      body: json,
      headers: { 'content-type': 'application/json' },
    });
    assert.ok([400, 413].includes(answer.status), String(answer.status));
  }
  for (const xml of [
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&x;</Key></Object></Delete>',
    '<Delete>'.repeat(50_000),
    `<Delete>${'<Object><Key>k</Key></Object>'.repeat(1001)}</Delete>`,
  ]) {
    const answer = await s3('POST', '/docs?delete=', xml);
    assert.equal(answer.status, 400, await answer.text());
  }
  assert.equal((await product.json<{ pid: number }[]>('ps'))[0]?.pid, pid);
});

test('guessing a password is slowed down, and a header does not make it another guesser', async () => {
  await addUser('guessed');
  const statuses: number[] = [];
  for (let index = 0; index < 8; index++) {
    const json = { name: 'guessed', password: `wrong ${index}` };
    statuses.push(
      (await product.rest('POST', '/api/v1/login', { token: null, json, headers: { 'x-forwarded-for': `192.0.2.${index}` } }))
        .status,
    );
  }
  assert.deepEqual([statuses[0], statuses.at(-1)], [401, 429]);
});

test('nothing in the home is for other accounts, and no secret is in a log', async () => {
  const token = await tokenOf('admin');
  const { secretKey } = await product.json<{ secretKey: string }>('key', 'create');
  await product.rest('GET', '/api/v1/me', { token });
  assert.equal(statSync(product.home).mode & 0o077, 0);
  for (const folder of ['run', 'db', 'logs', 'services'])
    assert.equal(statSync(join(product.home, folder)).mode & 0o077, 0, folder);
  for (const name of readdirSync(join(product.home, 'db')))
    assert.equal(statSync(join(product.home, 'db', name)).mode & 0o077, 0, name);
  for (const name of readdirSync(join(product.home, 'run')).filter((one) => /\.(sock|http)$/.test(one)))
    assert.equal(statSync(join(product.home, 'run', name)).mode & 0o077, 0, name);
  for (const name of readdirSync(join(product.home, 'logs'))) {
    const text = readFileSync(join(product.home, 'logs', name), 'utf8');
    for (const secret of [token, secretKey]) assert.ok(!text.includes(secret), name);
  }
});

test('the home cannot be served', async () => {
  for (const folder of [product.home, join(product.home, 'db')]) {
    const { exitCode, stderr } = await product.cli('datasource', 'add', 'home', folder);
    assert.notEqual(exitCode, 0);
    assert.match(stderr, /files of Cellar itself/);
  }
});

/** Status of a copy over S3; the source is a signed header. */
async function signedCopy(user: string, source: string, target: string): Promise<number> {
  const copy = await s3Of(user);
  return (await copy('PUT', target, '', new Date(), { 'x-amz-copy-source': source })).status;
}
