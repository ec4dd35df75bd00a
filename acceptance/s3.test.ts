import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Product, startProduct, waitUntil } from './harness.ts';
import { s3ClientCases } from './s3-clients.ts';
import { signedFetch } from './signed-fetch.ts';

let product: Product;
let keys: { accessKey: string; secretKey: string };
before(async () => {
  product = await startProduct({ datasources: ['docs', 'media', 'kept'] });
  keys = await product.json('key', 'create', 's3');
  // Where buckets are made that clients ask for.
  mkdirSync(join(product.tmp, 'buckets'));
  const added = await product.cli('datasource', 'add', 'made', join(product.tmp, 'buckets'), '--buckets');
  assert.equal(added.exitCode, 0, added.stderr);
});
after(async () => {
  await product?.[Symbol.asyncDispose]();
});

for (const one of s3ClientCases) {
  const missing = whyMissing(one.needs);
  test(one.name, { skip: missing ?? false, timeout: 240_000 }, async () => {
    const tmp = join(product.tmp, one.name.replace(/\W+/g, '-'));
    mkdirSync(tmp);
    await one.run({ endpoint: product.url, ...keys, bucket: 'media', versioned: 'kept', tmp });
  });
}

test('what S3 has acknowledged is in the REST listing at once, 200 times', async () => {
  const s3 = signedFetch(product.url, keys);
  const late: number[] = [];
  for (let at = 0; at < 200; at++) {
    const name = `${String(at).padStart(3, '0')}.txt`;
    const put = await s3('PUT', `/docs/in-step/${name}`, `content ${at}`);
    assert.equal(put.status, 200, await put.text());
    const answer = await product.rest('GET', '/api/v1/tree/docs/in-step:list');
    const { nodes = [], stale } = (await answer.json()) as { nodes?: { name: string }[]; stale?: boolean };
    if (!nodes.some((node) => node.name === name)) late.push(at);
    assert.ok(!stale, `listing ${at} was stale`);
  }
  assert.deepEqual(late, []);
});

test('a file of another program appears', async (t) => {
  const times: number[] = [];
  for (let at = 0; at < 10; at++) {
    const name = `outside-${at}.txt`;
    const start = performance.now();
    writeFileSync(join(product.folder('docs'), name), 'from outside');
    await waitUntil(async () => (await product.rest('GET', `/api/v1/tree/docs/${name}`)).status === 200, 15_000);
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  t.diagnostic(`appeared after ${Math.round(times[5] ?? 0)} ms in the middle, ${Math.round(times.at(-1) ?? 0)} ms at most`);
});

test('signatures and keys that do not hold', async (t) => {
  const cases: [string, { accessKey: string; secretKey: string }, string][] = [
    ['forged', { ...keys, secretKey: 'x'.repeat(40) }, 'SignatureDoesNotMatch'],
    ['unknown key', { ...keys, accessKey: 'AKUNKNOWNUNKNOWN' }, 'InvalidAccessKeyId'],
  ];
  for (const [name, credentials, code] of cases) {
    await t.test(name, async () => {
      const answer = await signedFetch(product.url, credentials)('GET', '/docs?list-type=2');
      assert.equal(answer.status, 403);
      assert.match(await answer.text(), new RegExp(`<Code>${code}</Code>`));
    });
  }
  await t.test('withdrawn key', async () => {
    const other = await product.json<typeof keys>('key', 'create', 'short-lived');
    const s3 = signedFetch(product.url, other);
    assert.equal((await s3('GET', '/docs?list-type=2')).status, 200);
    assert.equal((await product.cli('key', 'remove', other.accessKey)).exitCode, 0);
    await waitUntil(async () => (await s3('GET', '/docs?list-type=2')).status === 403, 5000);
  });
});

/** Why a case cannot run here; undefined when it can. Under CI nothing is skipped unseen. */
function whyMissing(needs: string): string | undefined {
  const [kind, module] = needs.split(':');
  const { status } = module ? spawnSync('python3', ['-c', `import ${module}`]) : spawnSync('which', [kind ?? '']);
  if (status === 0) return undefined;
  const why = `${needs.replace(/^python:/, 'the Python module ')} is not installed here; enable with: ${module ? `pip install ${module}` : `apt-get install ${needs}`}`;
  if (process.env['CI']) throw new Error(why);
  return why;
}
