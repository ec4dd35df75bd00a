import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Product, startProduct } from './harness.ts';

for (const isOneProcess of [true, false]) {
  test(`the first run, ${isOneProcess ? 'in one process' : 'forked'}`, async (t) => {
    let product: Product;
    let password = '';
    let token = '';
    before(async () => {
      product = await startProduct({ isOneProcess });
    });
    after(async () => {
      await product?.[Symbol.asyncDispose]();
    });

    await t.test('the first login is in a file for this account only', () => {
      const path = join(product.home, 'first-login.txt');
      assert.equal(statSync(path).mode & 0o777, 0o600);
      assert.equal(statSync(product.home).mode & 0o077, 0);
      const text = readFileSync(path, 'utf8');
      password = /^password:\s+(\S+)$/m.exec(text)?.[1] ?? '';
      assert.ok(password.length >= 12, 'no generated password was found');
      assert.match(text, /admin/);
      assert.ok(!product.logs().includes(password), 'the password is in the log');
    });

    await t.test('signing in by REST gives a session', async () => {
      const answer = await product.rest('POST', '/api/v1/login', { token: null, json: { name: 'admin', password } });
      assert.equal(answer.status, 200);
      const session = (await answer.json()) as { token: string; user: { name: string } };
      assert.equal(session.user.name, 'admin');
      assert.match(answer.headers.get('set-cookie') ?? '', /HttpOnly/i);
      const me = await product.rest('GET', '/api/v1/me', { token: session.token });
      assert.equal(me.status, 200);
    });

    await t.test('a wrong password is refused without saying what was wrong', async () => {
      for (const name of ['admin', 'nobody']) {
        const answer = await product.rest('POST', '/api/v1/login', { token: null, json: { name, password: 'wrong-password' } });
        assert.equal(answer.status, 401);
        assert.match(answer.headers.get('content-type') ?? '', /application\/problem\+json/);
      }
    });

    await t.test('the command signs in, and signs out', async () => {
      const env = { XDG_CONFIG_HOME: join(product.tmp, 'config') };
      const login = await product.cliWith({ env, input: `${password}\n` }, 'login', '--name', 'admin');
      assert.equal(login.exitCode, 0, login.stderr);
      assert.equal(statSync(join(env.XDG_CONFIG_HOME, 'cellar', 'logins.json')).mode & 0o777, 0o600);
      const who = await product.cliWith({ env }, 'whoami', '--json');
      assert.equal(JSON.parse(who.stdout).server, product.url);
      const out = await product.cliWith({ env }, 'logout');
      assert.equal(out.exitCode, 0, out.stderr);
    });

    await t.test('without a login the command is the administrator of its own server', async () => {
      token = (await product.json<{ token: string }>('token', 'create', 'first')).token;
      assert.ok(token.length > 20);
      const key = await product.json<Record<string, string>>('key', 'create');
      assert.deepEqual(Object.keys(key).toSorted(), ['accessKey', 'secretKey']);
    });

    await t.test('a folder goes up, is listed, and comes down the same', async () => {
      const source = join(product.tmp, 'source');
      mkdirSync(join(source, 'deep', 'empty'), { recursive: true });
      const large = Buffer.alloc(3 * 1024 * 1024, 'cellar');
      writeFileSync(join(source, 'large.bin'), large);
      writeFileSync(join(source, 'deep', 'ümläut & space.txt'), 'hello');
      writeFileSync(join(source, 'nothing'), '');
      const up = await product.cli('cp', '-r', source, 'cellar:docs/');
      assert.equal(up.exitCode, 0, up.stderr);
      assert.match(up.stderr, /Copied 3 files/);
      assert.ok(readFileSync(join(product.folder('docs'), 'source', 'large.bin')).equals(large));
      const listed = await product.json<{ path: string; kind: string; sizeBytes: string }[]>('ls', '-R', 'docs');
      assert.deepEqual(
        listed.map(({ path }) => path).toSorted(),
        [
          'docs/source',
          'docs/source/deep',
          'docs/source/deep/empty',
          'docs/source/deep/ümläut & space.txt',
          'docs/source/large.bin',
          'docs/source/nothing',
        ].toSorted(),
      );
      assert.equal(listed.find(({ path }) => path === 'docs/source/large.bin')?.sizeBytes, String(large.length));
      const back = join(product.tmp, 'back');
      const down = await product.cli('cp', '-r', 'cellar:docs/source', back);
      assert.equal(down.exitCode, 0, down.stderr);
      assert.ok(readFileSync(join(back, 'large.bin')).equals(large));
      assert.equal(readFileSync(join(back, 'deep', 'ümläut & space.txt'), 'utf8'), 'hello');
      assert.ok(statSync(join(back, 'deep', 'empty')).isDirectory());
    });

    await t.test('the same through a token and an address alone', async () => {
      const remote = ['--server', product.url];
      const env = { CELLAR_TOKEN: token };
      const up = await product.cliWith({ env, input: 'from a pipe' }, 'cp', '-', 'cellar:docs/piped.txt', ...remote);
      assert.equal(up.exitCode, 0, up.stderr);
      const cat = await product.cliWith({ env }, 'cat', 'docs/piped.txt', ...remote);
      assert.equal(cat.stdout, 'from a pipe');
      const mv = await product.cliWith({ env }, 'mv', 'docs/piped.txt', 'docs/moved.txt', ...remote);
      assert.equal(mv.exitCode, 0, mv.stderr);
      const copy = await product.cliWith({ env }, 'cp', 'cellar:docs/moved.txt', 'cellar:media/copy.txt', ...remote);
      assert.equal(copy.exitCode, 0, copy.stderr);
      assert.equal(readFileSync(join(product.folder('media'), 'copy.txt'), 'utf8'), 'from a pipe');
      const rm = await product.cliWith({ env }, 'rm', 'docs/moved.txt', ...remote);
      assert.equal(rm.exitCode, 0, rm.stderr);
      const gone = await product.cliWith({ env }, 'stat', 'docs/moved.txt', ...remote);
      assert.equal(gone.exitCode, 3, gone.stderr);
    });

    await t.test('status, ps and logs say what runs', async () => {
      const ps = await product.json<{ name: string; state: string }[]>('ps');
      const names = ps.map(({ name }) => name);
      for (const name of [
        'cellar.grpc.data.index.docs',
        'cellar.grpc.data.sync.media',
        'cellar.gateway.web',
        'cellar.rest.tree',
      ]) {
        assert.ok(names.includes(name), `${name} is missing in ${names.join(', ')}`);
      }
      assert.equal((await product.cli('status')).exitCode, 0);
      assert.match((await product.cli('logs')).stdout, /service is ready/);
    });

    await t.test('a second server with the same home is refused', async () => {
      const second = await product.cli('start', '--port', '0');
      assert.equal(second.exitCode, 6);
      assert.match(second.stderr, /already running/);
    });
  });
}
