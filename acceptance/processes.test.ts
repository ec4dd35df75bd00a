import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Product, startProduct, waitUntil } from './harness.ts';
import { signedFetch } from './signed-fetch.ts';

let product: Product;
let keys: { accessKey: string; secretKey: string };
before(async () => {
  product = await startProduct();
  keys = await product.json('key', 'create', 'load');
});
after(async () => {
  await product?.[Symbol.asyncDispose]();
});

interface Service {
  readonly name: string;
  readonly pid: number;
  readonly state: string;
}

const services = (): Promise<Service[]> => product.json<Service[]>('ps');

/** Services with a process of their own, by name. */
async function forks(): Promise<Map<string, number>> {
  const all = await services();
  const main = all.find(({ name }) => name === 'cellar.gateway.web')?.pid;
  return new Map(all.filter(({ pid }) => pid !== main).map(({ name, pid }) => [name, pid]));
}

test('ps of the system shows each service under its name', async () => {
  const found = await forks();
  assert.ok(found.size >= 5, [...found.keys()].join(', '));
  const { stdout } = spawnSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' });
  const lines = new Map(stdout.split('\n').map((line) => [Number.parseInt(line, 10), line]));
  for (const [name, pid] of found)
    assert.match(lines.get(pid) ?? '', new RegExp(`cellar start --fork ${name.replaceAll('.', '\\.')}|${name}`));
});

test('each service killed under load: others answer, it is back, nothing acknowledged is lost', {
  timeout: 240_000,
}, async (t) => {
  const s3 = signedFetch(product.url, keys);
  const acknowledged = new Map<string, string>();
  const refused = new Map<string, number>();
  let isOver = false;
  // Half of the load writes to one datasource by S3, half to the other by REST.
  const load = Array.from({ length: 4 }, async (_, worker) => {
    for (let at = 0; !isOver; at++) {
      const path = `${worker % 2 === 0 ? 'docs' : 'media'}/load/${worker}-${at}`;
      const content = `${path} ${Date.now()}`;
      try {
        const answer =
          worker % 2 === 0
            ? await s3('PUT', `/${path}`, content)
            : await product.rest('PUT', `/api/v1/content/${path}`, { body: content });
        await answer.text();
        if (answer.ok) acknowledged.set(path, content);
        else refused.set(`${answer.status}`, (refused.get(`${answer.status}`) ?? 0) + 1);
        if (!answer.ok) await new Promise((done) => setTimeout(done, 20));
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        refused.set(why, (refused.get(why) ?? 0) + 1);
      }
    }
  });
  try {
    for (const [name, pid] of await forks()) {
      await t.test(name, async (each) => {
        const others = (await services()).filter((service) => service.name !== name);
        process.kill(pid, 'SIGKILL');
        const start = performance.now();
        // The gateway, identity and the list of services do not depend on it.
        assert.equal((await fetch(`${product.url}/health/live`)).status, 200);
        assert.equal((await product.rest('GET', '/api/v1/me')).status, 200);
        await waitUntil(
          async () => {
            const now = (await services()).find((service) => service.name === name);
            return now !== undefined && now.pid !== pid && /ready/i.test(now.state);
          },
          20_000,
          () => `${name} did not come back\n${product.logs()}`,
        );
        each.diagnostic(`back after ${Math.round(performance.now() - start)} ms, as seen by the command`);
        for (const other of await services()) {
          const before = others.find((service) => service.name === other.name);
          if (before) assert.equal(other.pid, before.pid, `${other.name} was restarted too`);
        }
      });
    }
  } finally {
    isOver = true;
    await Promise.all(load);
  }
  assert.ok(
    acknowledged.size > 50,
    `only ${acknowledged.size} writes were acknowledged; refused: ${JSON.stringify([...refused])}`,
  );
  t.diagnostic(`${acknowledged.size} writes acknowledged; refused: ${JSON.stringify([...refused])}`);
  for (const [path, content] of acknowledged) {
    const [datasource = '', ...rest] = path.split('/');
    assert.equal(readFileSync(join(product.folder(datasource), ...rest), 'utf8'), content);
  }
  for (const datasource of ['docs', 'media']) {
    const wanted = [...acknowledged.keys()].filter((path) => path.startsWith(`${datasource}/`));
    const listed = new Set((await product.json<{ path: string }[]>('ls', '-R', datasource)).map(({ path }) => path));
    assert.deepEqual(
      wanted.filter((path) => !listed.has(path)),
      [],
      `${datasource} does not list what it acknowledged`,
    );
  }
});

test('stopped and started again, everything is there', async () => {
  await product.rest('PUT', '/api/v1/content/docs/kept.txt', { body: 'kept' });
  assert.equal((await product.cliWith({ input: 'a-long-password\n' }, 'user', 'add', 'ada', '--password-stdin')).exitCode, 0);
  const before = (await product.json<unknown[]>('key', 'list')).length;
  await product.stop();
  assert.equal((await product.cli('ls')).exitCode, 5);
  writeFileSync(join(product.folder('docs'), 'while-away.txt'), 'written while it was stopped');
  await product.start();
  assert.equal(await (await product.rest('GET', '/api/v1/content/docs/kept.txt')).text(), 'kept');
  assert.equal((await product.json<unknown[]>('key', 'list')).length, before);
  const login = await product.rest('POST', '/api/v1/login', { token: null, json: { name: 'ada', password: 'a-long-password' } });
  assert.equal(login.status, 200);
  await waitUntil(async () => (await product.rest('GET', '/api/v1/tree/docs/while-away.txt')).status === 200, 15_000);
});
