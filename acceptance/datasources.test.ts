import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type CommandResult, type Product, startProduct, waitUntil } from './harness.ts';
import { signedFetch } from './signed-fetch.ts';

interface Shown {
  readonly name: string;
  readonly kind: string;
  readonly folder: string;
  readonly sync?: { readonly state: string; readonly files: string };
}

const root = realpathSync(mkdtempSync(join(tmpdir(), 'cellar-buckets-')));
let product: Product;
let s3: ReturnType<typeof signedFetch>;
before(async () => {
  mkdirSync(join(root, 's3'));
  product = await startProduct({ datasources: ['docs'], args: ['--buckets', join(root, 's3')] });
  s3 = signedFetch(product.url, await product.json('key', 'create', 'acceptance'));
});
after(async () => {
  await product?.[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

async function cellar(exitCode: number, ...args: string[]): Promise<CommandResult> {
  const result = await product.cli(...args);
  assert.equal(result.exitCode, exitCode, `cellar ${args.join(' ')}: ${result.stderr}`);
  return result;
}

async function ask(status: number, method: string, path: string, body?: string): Promise<string> {
  const response = await s3(method, path, body);
  const text = await response.text();
  assert.equal(response.status, status, `${method} ${path}: ${text}`);
  return text;
}

const shown = (name: string): Promise<Shown> => product.json('datasource', 'show', name);
const paths = async (path: string): Promise<string[]> =>
  (await product.json<{ path: string }[]>('ls', '-R', path)).map((node) => node.path).toSorted();
const pidOf = async (service: string): Promise<number> => {
  const services = await product.json<{ name: string; pid: number }[]>('ps');
  return services.find(({ name }) => name === service)?.pid ?? 0;
};

test('S3 tools make buckets, which are folders on disk and in the tree', async () => {
  await ask(404, 'GET', '/photos');
  await ask(200, 'PUT', '/photos');
  await ask(200, 'PUT', '/photos/2026/a.jpg', 'abc');
  assert.equal(readFileSync(join(root, 's3/photos/2026/a.jpg'), 'utf8'), 'abc');
  const names = [...(await ask(200, 'GET', '/')).matchAll(/<Name>([^<]*)/g)].map(([, name]) => name);
  assert.deepEqual(names, ['docs', 'photos']);
  assert.deepEqual(await paths('s3'), ['s3/photos', 's3/photos/2026', 's3/photos/2026/a.jpg']);
  const { kind, sync } = await shown('s3');
  assert.deepEqual([kind, sync?.files], ['KIND_BUCKETS', '1']);
  await cellar(0, 'mkdir', 's3/music');
  writeFileSync(join(product.tmp, 'b.txt'), 'from the tree');
  await cellar(0, 'cp', 'b.txt', 'cellar:s3/music/b.txt');
  assert.equal(await ask(200, 'GET', '/music/b.txt'), 'from the tree');
  await ask(409, 'DELETE', '/music');
  await cellar(0, 'rm', '-r', 's3/music');
  await ask(404, 'GET', '/music');
  assert.ok(!existsSync(join(root, 's3/music')));
});

test('objects are copied between folders, by those who may read the source', async () => {
  await ask(200, 'PUT', '/docs/source.txt', 'to be copied');
  const copy = (path: string, source: string, more = {}) =>
    s3('PUT', path, '', undefined, { 'x-amz-copy-source': source, ...more });
  assert.equal((await copy('/photos/copied.txt', '/docs/source.txt')).status, 200);
  assert.equal(await ask(200, 'GET', '/photos/copied.txt'), 'to be copied');
  assert.equal((await copy('/docs/back.txt', '/photos/copied.txt')).status, 200);
  assert.equal((await copy('/docs/none.txt', '/photos/none.txt')).status, 404);
  assert.equal((await copy('/docs/none.txt', '/nowhere/none.txt')).status, 404);
  await cellar(0, 'rm', 'docs/source.txt', 'docs/back.txt');
});

test('a name is of one bucket only, and there is one folder of buckets only', async () => {
  await ask(409, 'PUT', '/docs');
  const folder = join(root, 'more');
  mkdirSync(folder);
  assert.match((await cellar(6, 'datasource', 'add', 'photos', folder)).stderr, /there is a bucket of that name/);
  assert.match((await cellar(6, 'datasource', 'add', 'more', folder, '--buckets')).stderr, /datasource "s3" already/);
  assert.match((await cellar(6, 'datasource', 'add', 'inside', join(root, 's3/photos'))).stderr, /inside each other/);
  await cellar(2, 'datasource', 'add', 'none');
});

test('a datasource beside others is added without interrupting them', async () => {
  const objects = `cellar.grpc.data.objects.${(await product.json<{ objectsService: string }>('datasource', 'show', 'docs')).objectsService.split('.').at(-1)}`;
  const pid = await pidOf(objects);
  assert.ok(pid > 0);
  const folder = join(product.folder('docs'), '..', 'beside');
  mkdirSync(folder);
  writeFileSync(join(folder, 'x'), 'found');
  await cellar(0, 'datasource', 'add', 'beside', folder);
  assert.equal(await ask(200, 'GET', '/beside/x'), 'found');
  assert.equal(await pidOf(objects), pid);
  await cellar(0, 'datasource', 'remove', 'beside', '--yes');
  await waitUntil(async () => (await s3('GET', '/beside/x')).status === 404, 10_000);
  assert.equal(await pidOf(objects), pid);
});

test('an index is checked, kept, restored, paused and compared', async () => {
  writeFileSync(join(product.folder('docs'), 'a.txt'), 'a');
  await waitUntil(async () => (await shown('docs')).sync?.files === '1', 10_000);
  assert.match((await cellar(0, 'datasource', 'check', 'docs')).stderr, /all is well/);
  const made = (await cellar(0, 'datasource', 'snapshot', 'create', 'docs')).stdout.trim();
  const listed = await product.json<{ name: string; files: string }[]>('datasource', 'snapshot', 'list', 'docs');
  assert.deepEqual(
    listed.map(({ name, files }) => [name, files]),
    [[made, '1']],
  );
  await cellar(0, 'datasource', 'pause', 'docs', 'work on the disk');
  assert.match((await cellar(0, 'datasource', 'show', 'docs')).stdout, /work on the disk/);
  writeFileSync(join(product.folder('docs'), 'b.txt'), 'b');
  const dry = await cellar(0, 'datasource', 'resync', 'docs', '--dry-run');
  assert.match(dry.stdout, /b\.txt/);
  assert.match(dry.stderr, /would be 1 created/);
  await cellar(0, 'datasource', 'resume', 'docs');
  await waitUntil(async () => (await shown('docs')).sync?.files === '2', 10_000);
  await cellar(0, 'datasource', 'snapshot', 'restore', 'docs', made, '--yes');
  await waitUntil(async () => (await shown('docs')).sync?.files === '2', 20_000);
  await cellar(0, 'datasource', 'resync', 'docs', '');
  await cellar(0, 'datasource', 'snapshot', 'delete', 'docs', made, '--yes');
  await cellar(3, 'datasource', 'snapshot', 'delete', 'docs', made, '--yes');
});

test('a bucket of another server is a datasource', async () => {
  await using there = await startProduct({ datasources: ['far'], isOneProcess: true });
  mkdirSync(join(there.folder('far'), 'part'));
  writeFileSync(join(there.folder('far'), 'part/old.txt'), 'old');
  writeFileSync(join(there.folder('far'), 'hidden.txt'), 'not below the prefix');
  const { accessKey, secretKey } = await there.json<{ accessKey: string; secretKey: string }>('key', 'create', 'acceptance');
  const add = (secret: string) =>
    product.cliWith(
      { input: `${secret}\n` },
      'datasource',
      'add',
      'away',
      '--remote',
      `${there.url}/far/part`,
      '--access-key',
      accessKey,
    );
  const refused = await add('wrong');
  assert.equal(refused.exitCode, 6, refused.stderr);
  const added = await add(secretKey);
  assert.equal(added.exitCode, 0, added.stderr);
  assert.ok(!JSON.stringify(await product.json('config', 'list', 'datasources')).includes(secretKey));
  assert.equal(await ask(200, 'GET', '/away/old.txt'), 'old');
  await ask(200, 'PUT', '/away/in/new.txt', 'new');
  assert.equal(readFileSync(join(there.folder('far'), 'part/in/new.txt'), 'utf8'), 'new');
  await waitUntil(async () => (await shown('away')).sync?.files === '2', 20_000, product.logs);
  assert.deepEqual(await paths('away'), ['away/in', 'away/in/new.txt', 'away/old.txt']);
  writeFileSync(join(product.tmp, 'c.txt'), 'from the tree');
  await cellar(0, 'cp', 'c.txt', 'cellar:away/in/c.txt');
  await cellar(0, 'mv', 'cellar:away/in', 'cellar:away/moved');
  assert.equal(readFileSync(join(there.folder('far'), 'part/moved/c.txt'), 'utf8'), 'from the tree');
  await cellar(0, 'datasource', 'remove', 'away', '--yes');
});
