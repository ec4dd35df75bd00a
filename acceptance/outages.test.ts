import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { postgresMissing, redisMissing, startPostgres, startRedis } from '#kernel/testing/engines.ts';
import { disksMissing, mountDisk, movableFolder } from './disk.ts';
import { isReady, type Product, type ProductOptions, startProduct, waitUntil } from './harness.ts';
import { type Load, type Refusal, startLoad } from './load.ts';
import { signedFetch } from './signed-fetch.ts';

const noPostgres = (await postgresMissing()) ?? false;
const noRedis = (await redisMissing()) ?? false;
const noDisks = disksMissing();

/** How long everything may take to be well again once it could be. */
const recoveryMsMax = 20_000;

const orphan = 'cellar.grpc.data.index.media';

test('PostgreSQL is killed under load and comes back', { skip: noPostgres, timeout: 240_000 }, async (t) => {
  await using postgres = await startPostgres();
  await using product = await start({ env: { CELLAR_DATABASE_URL: await postgres.createDatabase() } });
  const s3 = await s3Of(product);
  const { token } = await product.json<{ token: string }>('token', 'create', 'not-used-before');
  const before = await processes(product);
  const load = startLoad(product, s3);
  try {
    await answered(product, load);
    await postgres.kill();
    const killedMs = performance.now();
    await waitUntil(
      async () => {
        const { unready } = await health(product);
        return [...before.keys()].filter((name) => /users|policies|objects|index/.test(name)).every((name) => unready.has(name));
      },
      15_000,
      () => `health says nothing of it\n${product.logs()}`,
    );
    const { status, unready } = await health(product);
    t.diagnostic(`${unready.size} services not ready ${passed(killedMs)} ms after the kill: ${[...unready.values()][0]}`);
    assert.equal(status, 503);
    for (const [name, reason] of unready) assert.match(reason, /[Dd]atabase .*cannot be reached/, name);
    // What nobody has asked before cannot come from memory.
    const stranger = await product.rest('GET', '/api/v1/me', { token });
    const problem = (await stranger.json()) as { code: string; detail: string };
    assert.equal(stranger.status, 503);
    assert.equal(problem.code, 'unavailable');
    assert.match(problem.detail, /[Dd]atabase .*users.* cannot be reached/);
    // One that has to start meanwhile waits and says why.
    process.kill(before.get(orphan) ?? 0, 'SIGKILL');
    await waitUntil(async () => /[Dd]atabase .*cannot be reached/.test((await service(product, orphan)).reason), 20_000);
    await waitUntil(() => load.refusals.length > 100, 30_000);
    await postgres.restart();
    await recovered(t, product, load);
  } finally {
    await load.stop();
  }
  t.diagnostic(summary(load));
  for (const [request, tookMs] of load.slowestMs) assert.ok(tookMs < 6000, `${request} took ${tookMs} ms`);
  assertRefusals(load, {
    problem: /unavailable/,
    xml: /<Code>ServiceUnavailable<\/Code>/,
    words: /[Dd]atabase .*(cannot be reached|broke during a commit)/,
  });
  await assertKept(product, load);
  const { pid, restarts } = await service(product, orphan);
  assert.equal(restarts, 1);
  assert.deepEqual(await processes(product), new Map([...before, [orphan, pid]]), 'a process died or was restarted');
});

test('Redis is killed and comes back: what S3 acknowledges is listed all the while', {
  skip: noRedis,
  timeout: 240_000,
}, async (t) => {
  await using redis = await startRedis();
  await using product = await start({ env: { CELLAR_STREAMS_URL: redis.url, CELLAR_LEASES_URL: redis.url } });
  const s3 = await s3Of(product);
  const before = await processes(product);
  let written = 0;
  const listedMs: number[] = [];
  const writeAndList = async (count: number): Promise<void> => {
    for (let at = 0; at < count; at++) {
      const name = `${++written}.txt`;
      const put = await s3('PUT', `/docs/redis/${name}`, name);
      assert.equal(put.status, 200, await put.text());
      const start = performance.now();
      const answer = await product.rest('GET', '/api/v1/tree/docs/redis:list?pageSize=1000');
      const { nodes = [], stale } = (await answer.json()) as { nodes?: { name: string }[]; stale?: boolean };
      listedMs.push(performance.now() - start);
      assert.ok(!stale, `the listing after ${name} was stale, ${passed(start)} ms`);
      assert.equal(nodes.length, written, `the listing after ${name}`);
    }
  };
  const phase = async (what: string): Promise<void> => {
    await writeAndList(100);
    const slowest = Math.round(Math.max(...listedMs.splice(0)));
    t.diagnostic(`${what}: the slowest of 100 listings after a write took ${slowest} ms`);
  };
  await phase('with Redis');
  assert.match(redisCli(redis.url, 'keys', '*'), /cellar:stream:.*objects.*changes/, 'the changes do not go through Redis');
  await redis.kill();
  await phase('without Redis');
  assert.ok(await isReady(product.url), 'Redis is not needed to be ready');
  await redis.restart();
  await phase('with Redis again');
  redisCli(redis.url, 'flushall');
  await phase('with a Redis that has forgotten everything');
  assert.deepEqual(await processes(product), before, 'a process died or was restarted');
});

test('the disk of a datasource is full, then not', { skip: noDisks, timeout: 120_000 }, async (t) => {
  using disk = mountDisk(4);
  await using product = await start({ folders: { docs: disk.path } });
  const s3 = await s3Of(product);
  const body = 'x'.repeat(1 << 20);
  assert.equal((await s3('PUT', '/docs/before.bin', body)).status, 200);
  const before = filesOf(product, 'docs');
  disk.fill();
  await t.test('writes say that the disk is full', async () => {
    await assertXml(await s3('PUT', '/docs/large.bin', body), 503, 'ServiceUnavailable', /disk is full/);
    await assertProblem(
      await product.rest('PUT', '/api/v1/content/docs/folder/large.bin', { body }),
      507,
      'resource_exhausted',
      /disk is full/,
    );
    const { exitCode, stderr } = await product.cliWith({ input: body }, 'cp', '-', 'cellar:docs/large.bin');
    assert.notEqual(exitCode, 0);
    assert.match(stderr, /disk is full/);
  });
  await t.test('nothing is half-written', async () => {
    assert.deepEqual(await listed(product, 'docs'), before);
    assert.deepEqual(filesOf(product, 'docs'), before);
    assert.deepEqual(readdirSync(join(disk.path, '.cellar'), { recursive: true }), ['tmp']);
  });
  await t.test('reads and other datasources go on', async () => {
    assert.equal((await (await s3('GET', '/docs/before.bin')).text()).length, body.length);
    assert.equal((await s3('PUT', '/media/large.bin', body)).status, 200);
  });
  disk.free();
  assert.equal((await s3('PUT', '/docs/large.bin', body)).status, 200);
  assert.equal((await product.rest('PUT', '/api/v1/content/docs/folder/small.txt', { body: 'small' })).status, 200);
  assert.deepEqual(await listed(product, 'docs'), filesOf(product, 'docs'));
});

test('the disk of the home is full, then not', { skip: noDisks, timeout: 120_000 }, async (t) => {
  using disk = mountDisk(32);
  await using product = await start({ home: join(disk.path, 'home') });
  const s3 = await s3Of(product);
  const { token } = await product.json<{ token: string }>('token', 'create', 'not-used-before');
  assert.equal((await s3('PUT', '/docs/before.txt', 'before')).status, 200);
  assert.equal((await product.rest('GET', '/api/v1/me')).status, 200);
  const before = await processes(product);
  disk.fill();
  await t.test('writes say that the disk is full', async () => {
    // The tables have some room left in the pages they have.
    let status = 200;
    for (let at = 0; status === 200 && at < 5000; at++) {
      const answer = await s3('PUT', `/docs/full/${at}.txt`, 'full');
      status = answer.status;
      if (status === 200) await answer.text();
      else await assertXml(answer, 503, 'ServiceUnavailable', /disk is full/);
    }
    assert.equal(status, 503);
    await assertProblem(
      await product.rest('PUT', '/api/v1/content/docs/full.txt', { body: 'x' }),
      507,
      'resource_exhausted',
      /disk is full/,
    );
  });
  await t.test('reads go on', async () => {
    assert.equal(await (await s3('GET', '/docs/before.txt')).text(), 'before');
    assert.equal((await product.rest('GET', '/api/v1/me', { token })).status, 200);
    assert.equal(await (await product.rest('GET', '/api/v1/content/docs/before.txt', { token })).text(), 'before');
    assert.equal((await product.rest('GET', '/api/v1/tree/docs:list')).status, 200);
  });
  for (let at = 0; at < 500; at++) writeFileSync(join(product.folder('docs'), `outside-${at}.txt`), 'outside');
  disk.free();
  await waitUntil(async () => (await s3('PUT', '/docs/after.txt', 'after')).status === 200, recoveryMsMax);
  await waitUntil(
    async () => (await listed(product, 'docs')).join() === filesOf(product, 'docs').join(),
    recoveryMsMax,
    () => `the index does not catch up\n${product.logs()}`,
  );
  assert.ok(await isReady(product.url));
  assert.deepEqual(await processes(product), before, 'a process died or was restarted');
});

test('the disk of the home is unmounted under load, and mounted again', { skip: noDisks, timeout: 240_000 }, async (t) => {
  using disk = mountDisk(64);
  await using product = await start({ home: join(disk.path, 'home') });
  const before = await processes(product);
  const load = startLoad(product, await s3Of(product));
  try {
    await answered(product, load);
    disk.take();
    await waitUntil(
      async () => [...(await health(product)).unready.values()].some((reason) => /database .* is missing/i.test(reason)),
      15_000,
    );
    await waitUntil(() => load.refusals.length > 100, 30_000);
    disk.give();
    await recovered(t, product, load);
  } finally {
    await load.stop();
  }
  t.diagnostic(summary(load));
  assertRefusals(load, {
    problem: /unavailable/,
    xml: /<Code>ServiceUnavailable<\/Code>/,
    words: /database .*(is missing|cannot be read or written)/i,
  });
  await assertKept(product, load);
  assert.deepEqual(await processes(product), before, 'a process died or was restarted');
});

for (const isDisk of [true, false]) {
  const what = isDisk ? 'unmounted, and mounted again' : 'renamed, and named as before again';
  test(`the folder of a datasource is ${what}`, { skip: isDisk && noDisks, timeout: 120_000 }, async (t) => {
    using disk = isDisk ? mountDisk(16) : movableFolder();
    await using product = await start({ folders: { docs: disk.path } });
    const s3 = await s3Of(product);
    for (let at = 0; at < 5; at++) assert.equal((await s3('PUT', `/docs/folder/${at}.txt`, `content ${at}`)).status, 200);
    const before = await processes(product);
    const known = await listed(product, 'docs');
    disk.take();
    await t.test('writes, reads and listings by S3 say so', async () => {
      for (const [method, path, body] of [
        ['PUT', '/docs/new.txt', 'new'],
        ['GET', '/docs/folder/1.txt'],
        ['HEAD', '/docs/folder/1.txt'],
        ['DELETE', '/docs/folder/1.txt'],
        ['GET', '/docs?list-type=2'],
      ] as const) {
        const answer = await s3(method, path, body);
        if (method === 'HEAD') assert.equal(answer.status, 503, `${method} ${path}`);
        else await assertXml(answer, 503, 'ServiceUnavailable', /folder of bucket "docs" is (not there|empty)/);
      }
      await assertProblem(
        await product.rest('PUT', '/api/v1/content/docs/new.txt', { body: 'x' }),
        503,
        'unavailable',
        /folder of bucket "docs"/,
      );
      await assertProblem(
        await product.rest('GET', '/api/v1/content/docs/folder/1.txt'),
        503,
        'unavailable',
        /folder of bucket "docs"/,
      );
      if (isDisk) assert.deepEqual(readdirSync(disk.path), [], 'something was written beside the disk');
    });
    await t.test('the list of datasources says that sync is blocked, and why', async () => {
      const status = async (): Promise<{ state?: string; reason?: string }> =>
        (await product.json<{ name: string; sync?: { state: string; reason: string } }[]>('datasource', 'list')).find(
          ({ name }) => name === 'docs',
        )?.sync ?? {};
      await waitUntil(async () => (await status()).state === 'STATE_BLOCKED', recoveryMsMax);
      assert.match((await status()).reason ?? '', /is its disk mounted\?/);
      assert.match((await product.cli('datasource', 'list')).stderr, /docs: .*is its disk mounted\?/);
    });
    await t.test('what is known is kept and listed', async () => assert.deepEqual(await listed(product, 'docs'), known));
    await t.test('other datasources go on', async () => {
      assert.equal((await s3('PUT', '/media/new.txt', 'new')).status, 200);
      assert.deepEqual(await listed(product, 'media'), ['media/new.txt']);
    });
    if (isDisk) {
      writeFileSync(join(disk.path, 'beside.txt'), 'of a program that writes where the disk was');
      await t.test('what others put in its place changes nothing', async () => {
        await waitUntil(
          async () => /another folder than before/.test((await product.cli('datasource', 'list')).stderr),
          recoveryMsMax,
        );
        assert.deepEqual(await listed(product, 'docs'), known);
        await assertXml(await s3('PUT', '/docs/new.txt', 'new'), 503, 'ServiceUnavailable', /on another disk than before/);
      });
    }
    disk.write('while-away.txt', 'changed elsewhere');
    disk.give();
    await waitUntil(
      async () => (await listed(product, 'docs')).join() === filesOf(product, 'docs').join(),
      recoveryMsMax,
      () => `sync does not go on\n${product.logs()}`,
    );
    assert.equal((await s3('PUT', '/docs/new.txt', 'new')).status, 200);
    assert.equal(await (await s3('GET', '/docs/folder/1.txt')).text(), 'content 1');
    writeFileSync(join(disk.path, 'seen-again.txt'), 'by notification');
    await waitUntil(async () => (await product.rest('GET', '/api/v1/tree/docs/seen-again.txt')).status === 200, recoveryMsMax);
    assert.deepEqual(await processes(product), before, 'a process died or was restarted');
  });
}

test('the folder of a datasource becomes read-only, and writable again', { skip: noDisks, timeout: 120_000 }, async () => {
  using disk = mountDisk(4);
  await using product = await start({ folders: { docs: disk.path } });
  const s3 = await s3Of(product);
  assert.equal((await s3('PUT', '/docs/before.txt', 'before')).status, 200);
  disk.setReadOnly(true);
  const words = /read-only/;
  await assertXml(await s3('PUT', '/docs/new.txt', 'new'), 403, 'AccessDenied', words);
  await assertXml(await s3('PUT', '/docs/folder/', ''), 403, 'AccessDenied', words);
  await assertXml(await s3('POST', '/docs/new.txt?uploads='), 403, 'AccessDenied', words);
  await assertXml(await s3('DELETE', '/docs/before.txt'), 403, 'AccessDenied', words);
  for (const [method, path, init] of [
    ['PUT', '/api/v1/content/docs/new.txt', { body: 'new' }],
    ['DELETE', '/api/v1/tree/docs/before.txt', {}],
  ] as const)
    await assertProblem(await product.rest(method, path, init), 403, 'permission_denied', words);
  const { exitCode, stderr } = await product.cli('mkdir', 'docs/folder');
  assert.notEqual(exitCode, 0);
  assert.match(stderr, words);
  assert.equal(await (await s3('GET', '/docs/before.txt')).text(), 'before');
  assert.deepEqual(await listed(product, 'docs'), ['docs/before.txt']);
  disk.setReadOnly(false);
  assert.equal((await s3('PUT', '/docs/new.txt', 'new')).status, 200);
  assert.deepEqual(await listed(product, 'docs'), ['docs/before.txt', 'docs/new.txt']);
});

async function assertXml(answer: Response, status: number, code: string, message: RegExp): Promise<void> {
  const text = await answer.text();
  assert.equal(answer.status, status, text);
  assert.match(text, new RegExp(`<Code>${code}</Code>`));
  assert.match(/<Message>(.*)<\/Message>/s.exec(text)?.[1]?.replaceAll('&quot;', '"') ?? '', message, text);
}

async function assertProblem(answer: Response, status: number, code: string, detail: RegExp): Promise<void> {
  const text = await answer.text();
  assert.equal(answer.status, status, text);
  assert.match(answer.headers.get('content-type') ?? '', /application\/problem\+json/);
  const problem = JSON.parse(text) as { code: string; detail: string };
  assert.equal(problem.code, code, text);
  assert.match(problem.detail, detail, text);
}

/** All files and folders below a datasource as the index has them. */
async function listed(product: Product, datasource: string): Promise<string[]> {
  return (await product.json<{ path: string }[]>('ls', '-R', datasource)).map(({ path }) => path).toSorted();
}

function redisCli(url: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('redis-cli', ['-u', url, ...args], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout;
}

async function s3Of(product: Product): Promise<ReturnType<typeof signedFetch>> {
  return signedFetch(product.url, await product.json<{ accessKey: string; secretKey: string }>('key', 'create', 'outage'));
}

interface Service {
  readonly name: string;
  readonly pid: number;
  readonly restarts: number;
  readonly reason: string;
}

/** Process ids by service. */
async function processes(product: Product): Promise<Map<string, number>> {
  return new Map((await product.json<Service[]>('ps')).map(({ name, pid }) => [name, pid]));
}

async function service(product: Product, name: string): Promise<Service> {
  const found = (await product.json<Service[]>('ps')).find((one) => one.name === name);
  assert.ok(found, name);
  return found;
}

/** Health is asked for while nobody can be signed in. */
const start = (options: ProductOptions): Promise<Product> =>
  startProduct({ ...options, env: { CELLAR_GATEWAY_OPENS_DIAGNOSTICS: 'true', ...options.env } });

/** What `/health/ready` says: its status, and why by service of those that are not ready. */
async function health(product: Product): Promise<{ status: number; unready: Map<string, string> }> {
  const answer = await fetch(`${product.url}/health/ready`, { signal: AbortSignal.timeout(5000) });
  const { services } = (await answer.json()) as { services: { service: string; state: string; reason?: string }[] };
  const unready = services
    .filter(({ state }) => state !== 'ready')
    .map(({ service, reason }): [string, string] => [service, reason ?? '']);
  return { status: answer.status, unready: new Map(unready) };
}

/** Resolves when every client of the load has been answered some times more. */
async function answered(product: Product, { successes, refusals }: Load): Promise<void> {
  const before = new Map(successes);
  const since = (request: string): number => (successes.get(request) ?? 0) - (before.get(request) ?? 0);
  const waiting = (): string[] => ['S3 PUT', 'S3 GET', 'REST PUT', 'REST GET'].filter((request) => since(request) < 5);
  await waitUntil(
    () => waiting().length === 0,
    recoveryMsMax,
    () => `not answered: ${waiting()}\n${refusals.slice(-4).map(describe).join('\n')}\n${product.logs()}`,
  );
}

/** Resolves when every client of the load is answered again and everything is ready. */
async function recovered(t: TestContext, product: Product, load: Load): Promise<void> {
  const start = performance.now();
  await answered(product, load);
  t.diagnostic(`all clients are answered again after ${passed(start)} ms`);
  await waitUntil(
    () => isReady(product.url),
    recoveryMsMax,
    () => `not ready again\n${product.logs()}`,
  );
  t.diagnostic(`all services are ready again after ${passed(start)} ms`);
}

function assertRefusals({ refusals }: Load, { problem, xml, words }: { problem: RegExp; xml: RegExp; words: RegExp }): void {
  for (const refusal of refusals) {
    const { request, status, contentType, text } = refusal;
    const isS3 = request.startsWith('S3');
    assert.equal(status, 503, describe(refusal));
    assert.match(contentType, isS3 ? /application\/xml/ : /application\/problem\+json/, describe(refusal));
    assert.match(text, isS3 ? xml : problem, describe(refusal));
    assert.match(text, words, describe(refusal));
  }
}

/** Everything acknowledged is on the disk, and the listing is what the disk holds. */
async function assertKept(product: Product, { acknowledged }: Load): Promise<void> {
  for (const [path, content] of acknowledged) {
    const [datasource = '', ...rest] = path.split('/');
    assert.equal(readFileSync(join(product.folder(datasource), ...rest), 'utf8'), content);
  }
  for (const datasource of ['docs', 'media']) {
    let found: string[] = [];
    await waitUntil(
      async () => {
        found = await listed(product, datasource);
        return found.join() === filesOf(product, datasource).join();
      },
      recoveryMsMax,
      () => `${datasource} lists ${found.length} of ${filesOf(product, datasource).length}\n${product.logs()}`,
    );
  }
}

/** Files and folders of a datasource as the disk has them, in the form of the listing. */
function filesOf(product: Product, datasource: string): string[] {
  return readdirSync(product.folder(datasource), { recursive: true, encoding: 'utf8' })
    .filter((path) => path !== '.cellar' && !path.startsWith('.cellar/'))
    .map((path) => `${datasource}/${path}`)
    .toSorted();
}

function summary({ acknowledged, refusals, slowestMs }: Load): string {
  const kinds = new Map<string, number>();
  for (const { request, status } of refusals) kinds.set(`${request} ${status}`, (kinds.get(`${request} ${status}`) ?? 0) + 1);
  const [kindsText, slowest] = [kinds, slowestMs].map((map) => JSON.stringify(Object.fromEntries(map)));
  return `${acknowledged.size} writes acknowledged; refused: ${kindsText}; slowest answers in ms: ${slowest}`;
}

const describe = ({ request, status, text, tookMs }: Refusal): string =>
  `${request} was answered ${status} after ${Math.round(tookMs)} ms: ${text}`;

const passed = (sinceMs: number): number => Math.round(performance.now() - sinceMs);
