import assert from 'node:assert/strict';
import { chmodSync, chownSync, cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Product, startProduct, waitUntil } from './harness.ts';
import { inIndex, onDisk } from './kill-load.ts';
import { signedFetch } from './signed-fetch.ts';

/*
 * What people and other programs do to folders that are served, beside what `outages.test.ts` does to their disks.
 */
const patienceMs = 30_000;

/** Nobody in particular. */
const user = 65_534;
const noUsers = process.getuid?.() === 0 ? false : 'only root can start the product as another user';

interface Datasource {
  readonly name: string;
  readonly sync?: { readonly state: string; readonly pauseReason?: string };
}

const syncOf = async (product: Product): Promise<{ state: string; pauseReason?: string }> =>
  (await product.json<Datasource[]>('datasource', 'list')).find(({ name }) => name === 'docs')?.sync ?? { state: '' };

async function s3Of(product: Product): Promise<ReturnType<typeof signedFetch>> {
  return signedFetch(product.url, await product.json<{ accessKey: string; secretKey: string }>('key', 'create', 'disturbed'));
}

async function followed(product: Product): Promise<void> {
  const isSame = async (): Promise<boolean> =>
    (await inIndex(product, 'docs').catch(() => [])).join('\n') === onDisk(product, 'docs').join('\n');
  await waitUntil(isSame, patienceMs, () => `the index does not follow the disk\n${product.logs()}`);
}

test('rm -rf of all there is: nothing is forgotten until somebody says so', { timeout: 180_000 }, async (t) => {
  await using product = await startProduct();
  const folder = product.folder('docs');
  for (let at = 0; at < 300; at++) {
    mkdirSync(join(folder, `${at % 10}`), { recursive: true });
    writeFileSync(join(folder, `${at % 10}/${at}.txt`), `content ${at}`);
  }
  await followed(product);
  const known = await inIndex(product, 'docs');
  const { id } = (await (await product.rest('GET', '/api/v1/tree/docs/3/33.txt')).json()) as { id: string };
  const backup = join(product.tmp, 'backup');
  cpSync(folder, backup, { recursive: true, preserveTimestamps: true });
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });

  const asks = async (): Promise<boolean> => (await syncOf(product)).state === 'STATE_BLOCKED';
  await waitUntil(asks, patienceMs, () => `nobody is asked\n${product.logs()}`);
  await t.test('the list of datasources says what happened and what to do', async () => {
    const { stderr } = await product.cli('datasource', 'list');
    assert.match(stderr, /docs: .*(300|310|gone|deletion|empty)/);
    assert.match(stderr, /confirm|mounted/);
  });
  await t.test('everything is listed still, and reading says that it is not there', async () => {
    assert.deepEqual(await inIndex(product, 'docs'), known);
    assert.ok([404, 503].includes((await product.rest('GET', '/api/v1/content/docs/3/33.txt')).status));
  });
  await t.test('also after a restart', async () => {
    await product.stop();
    await product.start();
    await waitUntil(asks, patienceMs);
    assert.deepEqual(await inIndex(product, 'docs'), known);
  });
  await t.test('put back, it is what it was', async () => {
    cpSync(backup, folder, { recursive: true, preserveTimestamps: true });
    assert.equal((await product.cli('datasource', 'resync', 'docs')).exitCode, 0);
    await followed(product);
    const { id: same } = (await (await product.rest('GET', '/api/v1/tree/docs/3/33.txt')).json()) as { id: string };
    assert.equal(same, id);
    assert.notEqual((await syncOf(product)).state, 'STATE_BLOCKED');
  });
  await t.test('removed again and confirmed, it is forgotten', async () => {
    for (const name of readdirSync(folder)) if (name !== '.cellar') rmSync(join(folder, name), { recursive: true });
    await waitUntil(asks, patienceMs);
    const { stdout, stderr } = await product.cli('datasource', 'resync', 'docs', '--dry-run');
    assert.match(stdout + stderr, /300|310/);
    assert.deepEqual(await inIndex(product, 'docs'), known);
    assert.equal((await product.cli('datasource', 'resync', 'docs', '--confirm-deletes')).exitCode, 0);
    assert.deepEqual(await inIndex(product, 'docs'), []);
  });
});

test('chmod 000 of a folder, of a file and of all: said, kept, and well again', {
  skip: noUsers,
  timeout: 180_000,
}, async (t) => {
  await using product = await startProduct({ user });
  const s3 = await s3Of(product);
  const folder = product.folder('docs');
  for (const name of ['open/a.txt', 'closed/b.txt', 'closed/deep/c.txt', 'closed.txt'])
    assert.equal((await s3('PUT', `/docs/${name}`, name)).status, 200);
  await followed(product);
  const known = await inIndex(product, 'docs');
  const settled = async (what: string): Promise<void> => {
    // What the walk cannot see is kept: a full pass changes nothing.
    await product.cli('datasource', 'resync', 'docs');
    assert.deepEqual(await inIndex(product, 'docs'), known, what);
  };
  const isRefused = async (path: string): Promise<void> => {
    const answer = await s3('GET', `/docs/${path}`);
    const text = await answer.text();
    assert.ok([403, 503].includes(answer.status), `${answer.status} ${text}`);
    assert.match(text, /<Code>(AccessDenied|ServiceUnavailable)<\/Code>/);
    const rest = await product.rest('GET', `/api/v1/content/docs/${path}`);
    assert.ok([403, 503].includes(rest.status), `${rest.status} ${await rest.text()}`);
  };
  await t.test('a folder', async () => {
    chmodSync(join(folder, 'closed'), 0o000);
    await isRefused('closed/b.txt');
    await settled('an unreadable folder was forgotten');
    assert.equal((await s3('GET', '/docs/open/a.txt')).status, 200);
    chmodSync(join(folder, 'closed'), 0o755);
  });
  await t.test('a file', async () => {
    chmodSync(join(folder, 'closed.txt'), 0o000);
    await isRefused('closed.txt');
    await settled('an unreadable file was forgotten');
    chmodSync(join(folder, 'closed.txt'), 0o644);
  });
  await t.test('all', async () => {
    chmodSync(folder, 0o000);
    await isRefused('open/a.txt');
    const isTold = async (): Promise<boolean> => /docs: .*cannot be read/.test((await product.cli('datasource', 'list')).stderr);
    await waitUntil(isTold, patienceMs, () => `nobody is told\n${product.logs()}`);
    assert.deepEqual(await inIndex(product, 'docs'), known);
    chmodSync(folder, 0o755);
    await waitUntil(
      async () => !(await isTold()),
      patienceMs,
      () => `it is told still\n${product.logs()}`,
    );
  });
  assert.equal(await (await s3('GET', '/docs/closed/b.txt')).text(), 'closed/b.txt');
  writeFileSync(join(folder, 'open/new.txt'), 'new');
  chownSync(join(folder, 'open/new.txt'), user, user);
  await followed(product);
});

test('20,000 files made while sync is paused: all there after, none twice', { timeout: 180_000 }, async (t) => {
  await using product = await startProduct();
  const folder = product.folder('docs');
  const paused = await product.cli('datasource', 'pause', 'docs', 'work on the disk');
  assert.equal(paused.exitCode, 0, paused.stderr);
  for (let at = 0; at < 20_000; at++) {
    if (at % 200 === 0) mkdirSync(join(folder, `${at / 200}`));
    writeFileSync(join(folder, `${Math.floor(at / 200)}/${at}`), 'x');
  }
  await t.test('the pause and its reason are told, and writes of ours go on', async () => {
    const { state, pauseReason } = await syncOf(product);
    assert.deepEqual([state, pauseReason], ['STATE_PAUSED', 'work on the disk']);
    const { stdout } = await product.cli('datasource', 'show', 'docs');
    assert.match(stdout, /paused.*work on the disk/);
    assert.doesNotMatch(stdout, /seen at once/);
    assert.equal((await product.rest('PUT', '/api/v1/content/docs/ours.txt', { body: 'ours' })).status, 200);
    assert.deepEqual(await inIndex(product, 'docs'), ['docs/ours.txt 4']);
  });
  const startMs = performance.now();
  assert.equal((await product.cli('datasource', 'resume', 'docs')).exitCode, 0);
  await followed(product);
  t.diagnostic(`followed ${Math.round(performance.now() - startMs)} ms after the pause`);
  assert.equal(new Set(await inIndex(product, 'docs')).size, 20_101);
});
