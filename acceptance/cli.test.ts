import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { type CommandResult, command, type Product, run, startProduct, waitUntil } from './harness.ts';

let product: Product;
before(async () => {
  product = await startProduct({ isOneProcess: true });
});
after(async () => {
  await product?.[Symbol.asyncDispose]();
});

/** Runs and expects an exit code. */
async function cellar(exitCode: number, ...args: string[]): Promise<CommandResult> {
  const result = await product.cli(...args);
  assert.equal(result.exitCode, exitCode, `cellar ${args.join(' ')}: ${result.stderr}`);
  return result;
}

const names = async (path: string): Promise<string[]> =>
  (await product.json<{ path: string }[]>('ls', '-R', path)).map((node) => node.path.slice(path.length + 1)).toSorted();

function write(path: string, content: string): string {
  const whole = join(product.tmp, path);
  mkdirSync(dirname(whole), { recursive: true });
  writeFileSync(whole, content);
  return whole;
}

test('where copies go is as with cp', async () => {
  write('tree/a.txt', 'a');
  write('tree/sub/b.txt', 'b');
  await cellar(0, 'cp', 'tree/a.txt', 'cellar:docs/cp/new.txt');
  await cellar(0, 'cp', 'tree/a.txt', 'cellar:docs/cp/');
  await cellar(2, 'cp', 'tree', 'cellar:docs/cp/');
  await cellar(0, 'cp', '-r', 'tree', 'cellar:docs/cp/fresh');
  await cellar(0, 'cp', '-r', 'tree', 'cellar:docs/cp/fresh');
  await cellar(0, 'cp', '-r', 'tree/.', 'cellar:docs/cp/flat/');
  await cellar(2, 'cp', 'tree/a.txt', 'tree/sub/b.txt', 'cellar:docs/cp/new.txt');
  await cellar(0, 'cp', '-r', 'cellar:docs/cp/flat', 'cellar:docs/cp/copied');
  assert.deepEqual(await names('docs/cp'), [
    'a.txt',
    'copied',
    'copied/a.txt',
    'copied/sub',
    'copied/sub/b.txt',
    'flat',
    'flat/a.txt',
    'flat/sub',
    'flat/sub/b.txt',
    'fresh',
    'fresh/a.txt',
    'fresh/sub',
    'fresh/sub/b.txt',
    'fresh/tree',
    'fresh/tree/a.txt',
    'fresh/tree/sub',
    'fresh/tree/sub/b.txt',
    'new.txt',
  ]);
  mkdirSync(join(product.tmp, 'down'));
  await cellar(0, 'cp', 'cellar:docs/cp/a.txt', 'cellar:docs/cp/new.txt', 'down');
  assert.deepEqual(readdirSync(join(product.tmp, 'down')).toSorted(), ['a.txt', 'new.txt']);
  await cellar(0, 'cp', '-r', 'cellar:', 'everything');
  assert.ok(existsSync(join(product.tmp, 'everything', 'docs', 'cp', 'flat', 'sub', 'b.txt')));
});

test('what cannot be copied is told, the rest is copied', async () => {
  write('part/ok.txt', 'ok');
  symlinkSync('/nonexistent', join(product.tmp, 'part', 'broken-link'));
  symlinkSync('..', join(product.tmp, 'part', 'circle'));
  const up = await cellar(0, 'cp', '-r', 'part', 'cellar:docs/');
  assert.match(up.stderr, /left out: .*broken-link/);
  assert.match(up.stderr, /left out: .*circle: a link to a folder/);
  assert.deepEqual(await names('docs/part'), ['ok.txt']);
  mkdirSync(join(product.tmp, 'blocked', 'ok.txt'), { recursive: true });
  write('part/second.txt', 'second');
  await cellar(0, 'cp', 'part/second.txt', 'cellar:docs/part/');
  const down = await product.cli('cp', '-r', '--json', 'cellar:docs/part/', 'blocked/..');
  assert.equal(down.exitCode, 0, down.stderr);
  mkdirSync(join(product.tmp, 'target', 'part', 'ok.txt'), { recursive: true });
  const partly = await product.cli('cp', '-r', '--json', 'cellar:docs/part', 'target');
  assert.equal(partly.exitCode, 1, partly.stderr);
  const result = JSON.parse(partly.stdout) as { files: number; failed: { path: string }[] };
  assert.equal(result.files, 1);
  assert.deepEqual(
    result.failed.map(({ path }) => path),
    ['docs/part/ok.txt'],
  );
  assert.equal(readFileSync(join(product.tmp, 'target', 'part', 'second.txt'), 'utf8'), 'second');
  assert.deepEqual(
    readdirSync(join(product.tmp, 'target', 'part')).filter((name) => name.endsWith('.part')),
    [],
  );
});

test('files that exist stay with --no-clobber; times are kept with --preserve', async () => {
  const local = write('keep.txt', 'first');
  await cellar(0, 'cp', 'keep.txt', 'cellar:docs/keep.txt');
  writeFileSync(local, 'second');
  const again = await cellar(0, 'cp', '-n', 'keep.txt', 'cellar:docs/keep.txt');
  assert.match(again.stderr, /left out/);
  assert.equal((await cellar(0, 'cat', 'docs/keep.txt')).stdout, 'first');
  await cellar(0, 'cp', '-n', 'cellar:docs/keep.txt', 'keep.txt');
  assert.equal(readFileSync(local, 'utf8'), 'second');
  const served = join(product.folder('docs'), 'keep.txt');
  utimesSync(served, 1_700_000_000, 1_700_000_000);
  await waitUntil(
    async () => (await product.json<{ modifyTime: string }>('stat', 'docs/keep.txt')).modifyTime.startsWith('2023-11-14'),
    15_000,
  );
  await cellar(0, 'cp', '-p', 'cellar:docs/keep.txt', 'kept.txt');
  assert.equal(Math.round(statSync(join(product.tmp, 'kept.txt')).mtimeMs), 1_700_000_000_000);
});

test('exit codes say what kind of failure it was', async () => {
  await cellar(3, 'stat', 'docs/none');
  await cellar(3, 'cat', 'none/none');
  await cellar(3, 'cp', 'none.txt', 'cellar:docs/');
  await cellar(3, 'rm', 'docs/none');
  await cellar(0, 'rm', '-f', 'docs/none');
  await cellar(3, 'mkdir', 'docs/x/y/z');
  await cellar(0, 'mkdir', '-p', 'docs/x/y/z');
  await cellar(6, 'mkdir', 'docs/x');
  await cellar(6, 'rm', 'docs/x');
  await cellar(0, 'rm', '-r', 'docs/x');
  await cellar(3, 'mv', 'docs/none', 'docs/other');
  await cellar(2, 'cp', '-', 'cellar:docs/');
  await cellar(2, 'mkdir', 'docs/../x');
  const denied = await product.cliWith({ env: { CELLAR_TOKEN: 'wrong' } }, 'ls', '--json');
  assert.equal(denied.exitCode, 4);
  assert.equal(JSON.parse(denied.stderr).error.code, 'unauthenticated');
});

test('mv renames, moves into folders and does not replace unasked', async () => {
  for (const name of ['one', 'two']) await product.cliWith({ input: name }, 'cp', '-', `cellar:docs/mv/${name}`);
  await cellar(6, 'mv', 'docs/mv/one', 'docs/mv/two');
  await cellar(0, 'mkdir', 'docs/mv/into');
  await cellar(0, 'mv', 'docs/mv/one', 'docs/mv/two', 'docs/mv/into');
  assert.deepEqual(await names('docs/mv'), ['into', 'into/one', 'into/two']);
  await cellar(0, 'mv', '-f', 'docs/mv/into/one', 'docs/mv/into/two');
  assert.equal((await cellar(0, 'cat', 'docs/mv/into/two')).stdout, 'one');
});

test('ls shows sizes and orders', async () => {
  for (const [name, size] of [
    ['small', 10],
    ['large', 5000],
    ['middle', 700],
  ] as const) {
    await product.cliWith({ input: 'x'.repeat(size) }, 'cp', '-', `cellar:media/ls/${name}`);
  }
  assert.equal((await cellar(0, 'ls', 'media/ls')).stdout, 'large\nmiddle\nsmall\n');
  assert.equal((await cellar(0, 'ls', '--sort', 'size', '--reverse', 'cellar:media/ls')).stdout, 'large\nmiddle\nsmall\n');
  const long = (await cellar(0, 'ls', '-l', '--sort', 'size', 'media/ls')).stdout.split('\n');
  assert.match(long[0] ?? '', /SIZE +FILES +CHANGED +NAME/);
  assert.match(long[1] ?? '', /10 B .*small$/);
  assert.match(long[3] ?? '', /4\.9 KiB .*large$/);
  assert.equal((await cellar(0, 'ls', 'media/ls/small')).stdout, 'small\n');
  assert.deepEqual(await product.json<unknown[]>('ls', 'media/ls/small').then((nodes) => nodes.length), 1);
});

test('datasources come, are compared, and go', async () => {
  mkdirSync(join(product.tmp, 'extra', 'deep'), { recursive: true });
  for (let at = 0; at < 20; at++) writeFileSync(join(product.tmp, 'extra', 'deep', `${at}.txt`), 'x');
  await cellar(0, 'datasource', 'add', 'extra', 'extra');
  await waitUntil(async () => {
    const list = await product.cli('ls', '-R', '--json', 'extra');
    return list.exitCode === 0 && (JSON.parse(list.stdout) as unknown[]).length === 21;
  }, 20_000);
  const listed = await product.json<{ name: string; folder: string }[]>('datasource', 'list');
  assert.equal(listed.find(({ name }) => name === 'extra')?.folder, join(product.tmp, 'extra'));
  const resync = await product.json<{ done: boolean; created: string }>('datasource', 'resync', 'extra', '--dry-run');
  assert.deepEqual([resync.done, resync.created], [true, '0']);
  await cellar(6, 'datasource', 'add', 'twice', 'extra');
  await cellar(6, 'datasource', 'add', 'missing', '/nonexistent/folder');
  await cellar(6, 'datasource', 'remove', 'extra');
  await cellar(0, 'datasource', 'remove', 'extra', '--yes');
  assert.ok(existsSync(join(product.tmp, 'extra', 'deep', '1.txt')));
  await waitUntil(async () => (await product.cli('stat', 'extra')).exitCode === 3, 10_000);
});

test('users, tokens, keys and policies', async () => {
  const add = await product.cliWith(
    { input: 'a-long-password\n' },
    'user',
    'add',
    'ada',
    '--display-name',
    'Ada',
    '--password-stdin',
  );
  assert.equal(add.exitCode, 0, add.stderr);
  await cellar(6, 'user', 'add', 'ada');
  await cellar(2, 'user', 'add', 'Not A Name');
  await cellar(0, 'user', 'update', 'ada', '--admin');
  assert.match((await cellar(0, 'user', 'show', 'ada')).stdout, /admin/);
  await cellar(0, 'user', 'update', 'ada', '--no-admin');
  assert.doesNotMatch((await cellar(0, 'user', 'show', 'ada')).stdout, /roles .*admin/);
  await cellar(6, 'user', 'remove', 'ada');

  const config = { XDG_CONFIG_HOME: join(product.tmp, 'ada-config') };
  const login = await product.cliWith({ env: config, input: 'a-long-password' }, 'login', '--name', 'ada');
  assert.equal(login.exitCode, 0, login.stderr);
  const change = await product.cliWith({ env: config, input: 'another-password\na-long-password\n' }, 'user', 'password');
  assert.equal(change.exitCode, 0, change.stderr);
  assert.equal((await product.cliWith({ env: config }, 'whoami')).exitCode, 4);
  const anew = await product.cliWith({ env: config, input: 'another-password' }, 'login', '--name', 'ada');
  assert.equal(anew.exitCode, 0, anew.stderr);
  assert.equal((await product.cliWith({ env: config }, 'user', 'list')).exitCode, 4);

  const policy = 'permit(principal, action == Action::"data:read", resource);';
  const set = await product.cliWith({ input: policy }, 'policy', 'set', 'readers', '--description', 'All may read');
  assert.equal(set.exitCode, 0, set.stderr);
  assert.equal((await cellar(0, 'policy', 'show', 'readers')).stdout.trim(), policy);
  const wrong = await product.cliWith({ input: 'permit(all of it)' }, 'policy', 'set', 'readers');
  assert.equal(wrong.exitCode, 2, wrong.stderr);
  assert.match((await cellar(0, 'policy', 'test', 'ada', 'data:read', 'data/docs/x')).stdout, /^allowed/);
  const forbid = await product.cliWith({ input: policy.replace('permit', 'forbid') }, 'policy', 'set', 'readers');
  assert.equal(forbid.exitCode, 0, forbid.stderr);
  assert.match((await cellar(4, 'policy', 'test', 'ada', 'data:read', 'data/docs/x')).stdout, /^denied/);
  await cellar(0, 'policy', 'remove', 'readers', '--yes');
  await cellar(3, 'policy', 'show', 'readers');

  const created = await product.json<{ token: string; info: { id: string } }>(
    'token',
    'create',
    'ci',
    '--expires',
    '1h',
    '--scope',
    'data:read',
  );
  assert.match((await cellar(0, 'token', 'list')).stdout, /ci +data:read +just now +in 60 min/);
  await cellar(0, 'token', 'remove', created.info.id);
  await cellar(2, 'token', 'create', '--expires', 'soon');
  const file = write('token', (await product.json<{ token: string }>('token', 'create')).token);
  assert.equal((await cellar(0, 'whoami', '--server', product.url, '--token-file', file, '--json')).stderr, '');
  await cellar(0, 'user', 'remove', 'ada', '--yes');
});

test('a service is restarted alone', async () => {
  await cellar(0, 'service', 'restart', 'cellar.grpc.data.index.docs');
  await waitUntil(async () => (await product.cli('ls', 'docs')).exitCode === 0, 10_000);
  await cellar(3, 'service', 'restart', 'cellar.nothing');
});

test('Tab completes commands, names and remote paths in bash', {
  skip: spawnSync('bash', ['-c', 'true']).status !== 0 && 'there is no bash',
}, async () => {
  await product.cliWith({ input: 'x' }, 'cp', '-', 'cellar:docs/tab/with space.txt');
  const complete = (line: string): string[] => {
    const script = `source <(${command} completion bash); COMP_LINE=$1; COMP_POINT=\${#1}; _cellar ${command}; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = spawnSync('bash', ['-c', script, 'bash', line], {
      encoding: 'utf8',
      env: { ...process.env, CELLAR_HOME: product.home, HOME: product.tmp },
      timeout: 20_000,
    });
    return stdout.split('\n').filter(Boolean);
  };
  assert.deepEqual(complete('cellar datas'), ['datasource']);
  assert.deepEqual(complete('cellar datasource remove d'), ['docs']);
  assert.deepEqual(complete('cellar ls d'), ['docs/']);
  assert.deepEqual(complete('cellar ls docs/tab/'), ['docs/tab/with\\ space.txt']);
  assert.deepEqual(complete('cellar cp cellar:docs/ta'), ['docs/tab/']);
});

test('a stop while copying leaves no half file', async () => {
  const big = Buffer.alloc(64 * 1024 * 1024);
  writeFileSync(join(product.folder('media'), 'big.bin'), big);
  await waitUntil(async () => (await product.cli('stat', 'media/big.bin')).exitCode === 0, 15_000);
  await product.cliWith({ timeoutMs: 700 }, 'cp', 'cellar:media/big.bin', 'big.bin');
  // On a fast machine it may have been done before the stop; then it is whole.
  const file = statSync(join(product.tmp, 'big.bin'), { throwIfNoEntry: false });
  assert.ok(file === undefined || file.size === big.length, `${file?.size} of ${big.length} bytes are left`);
});

test('started in the background, asked, and stopped', async () => {
  const home = join(product.tmp, 'background');
  const folder = join(product.tmp, 'background-data');
  mkdirSync(folder);
  const env = { CELLAR_HOME: home, HOME: product.tmp };
  const other = (...args: string[]): Promise<CommandResult> => run(args, { env, cwd: product.tmp });
  const start = await other('start', '--detach', '--port', '0', '--no-fork', '--datasource', `docs=${folder}`, '--json');
  assert.equal(start.exitCode, 0, start.stderr);
  const { url } = JSON.parse(start.stdout) as { url: string };
  assert.equal((await fetch(`${url}/health/ready`)).status, 200);
  assert.equal((await other('status')).exitCode, 0);
  assert.equal((await other('ls')).stdout, 'docs/\n');
  const stop = await other('stop');
  assert.equal(stop.exitCode, 0, stop.stderr);
  assert.equal((await other('status')).exitCode, 5);
});
