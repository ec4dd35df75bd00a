import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Product, startProduct, waitUntil } from './harness.ts';
import { inIndex, type KillLoad, onDisk, startKillLoad } from './kill-load.ts';
import { signedFetch } from './signed-fetch.ts';

/*
 * kill -9 of one service after another, or of all, while clients write. After each, what was acknowledged is there, what was not is there as
 * a whole or not at all, and the index says what the disk holds.
 *
 * `CELLAR_KILLS=1000` for a long run, `CELLAR_SEED` for another one.
 */
const kills = Number(process.env['CELLAR_KILLS'] ?? 25);
const seed = Number(process.env['CELLAR_SEED'] ?? 1);

interface Service {
  readonly name: string;
  readonly pid: number;
  readonly state: string;
}

test(`${kills} kills under load: nothing acknowledged is lost, nothing is half there`, {
  timeout: 120_000 + kills * 20_000,
}, async (t) => {
  // Services that die all the time are normal here, so none has to wait before it is started again.
  const env = { CELLAR_PROCESS_BACKOFF_MS: '10', CELLAR_PROCESS_BACKOFF_MAX_MS: '100', CELLAR_PROCESS_HEALTHY_MS: '100' };
  await using product = await startProduct({ env });
  const s3 = signedFetch(product.url, await product.json<{ accessKey: string; secretKey: string }>('key', 'create', 'kills'));
  const versioned = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>';
  assert.equal((await s3('PUT', '/media?versioning=', versioned)).status, 200);
  const random = createRandom(seed);
  const load = startKillLoad(product, s3, random);
  const victims = new Map<string, number>();
  const startMs = performance.now();
  for (let kill = 1; kill <= kills; kill++) {
    const before = load.counts.acknowledged;
    load.resume();
    const wanted = before + 5 + Math.floor(random() * 25);
    await waitUntil(
      () => load.counts.acknowledged >= wanted,
      30_000,
      () => `clients are not answered\n${product.logs()}`,
    );
    const victim = await killOne(product, random);
    victims.set(victim, (victims.get(victim) ?? 0) + 1);
    await load.pause();
    await waitUntil(
      async () => await isSettled(product),
      30_000,
      () => `not ready after ${victim} was killed\n${product.logs()}`,
    );
    const say = (what: string): string => `kill ${kill} (seed ${seed}), of ${victim}: ${what}`;
    assert.deepEqual(load.check(), [], say('what is on the disk'));
    for (const datasource of ['docs', 'media']) {
      let found: string[] = [];
      const isSame = async (): Promise<boolean> => {
        found = await inIndex(product, datasource).catch(() => []);
        return found.join('\n') === onDisk(product, datasource).join('\n');
      };
      await waitUntil(isSame, 30_000, () =>
        say(`the index differs: ${differences(found, onDisk(product, datasource))}\n${product.logs()}`),
      );
      assert.deepEqual(leftovers(product, datasource), [], say('left behind'));
    }
    if (kills > 100 && kill % 10 === 0) console.log(`${kill} kills in ${Math.round((performance.now() - startMs) / 1000)} s`);
  }
  assert.deepEqual(await lostVersions(s3, 'media', load), [], 'versions are lost');
  const seconds = Math.round((performance.now() - startMs) / 1000);
  t.diagnostic(`${kills} kills in ${seconds} s; ${load.counts.acknowledged} requests acknowledged, ${load.counts.doubtful} not`);
  t.diagnostic(JSON.stringify(Object.fromEntries([...victims].toSorted())));
});

/** Kills a service that has a process of its own, or the whole platform and starts it again; resolves when the process is gone. */
async function killOne(product: Product, random: () => number): Promise<string> {
  const services = await running(product);
  const main = product.pid();
  const forks = services.filter(({ pid }) => pid !== main && pid > 0);
  const victim = random() < 0.15 ? undefined : forks[Math.floor(random() * forks.length)];
  if (victim) {
    process.kill(victim.pid, 'SIGKILL');
    // It is named until the supervisor has seen its end.
    await waitUntil(async () => (await running(product)).every(({ pid }) => pid !== victim.pid), 20_000);
    return victim.name;
  }
  for (const pid of new Set(services.map((service) => service.pid))) if (pid > 0) process.kill(pid, 'SIGKILL');
  await waitUntil(() => !isAlive(main), 10_000);
  await product.start();
  return 'all';
}

/** Acknowledged contents of objects of a versioned bucket of which there is no version. */
async function lostVersions(s3: ReturnType<typeof signedFetch>, bucket: string, load: KillLoad): Promise<readonly string[]> {
  const found = new Map<string, Set<string>>();
  for (let marker = ''; ; ) {
    const text = await (await s3('GET', `/${bucket}?versions=&prefix=s3/${marker}`)).text();
    for (const [, version = ''] of text.matchAll(/<Version>(.*?)<\/Version>/gs)) {
      const path = `${bucket}/${/<Key>(.*)<\/Key>/.exec(version)?.[1]}`;
      found.set(path, (found.get(path) ?? new Set()).add(/<ETag>(?:&quot;|")(.*?)(?:&quot;|")<\/ETag>/.exec(version)?.[1] ?? ''));
    }
    const next = /<NextKeyMarker>(.*)<\/NextKeyMarker><NextVersionIdMarker>(.*)<\/NextVersionIdMarker>/.exec(text);
    if (!next) break;
    marker = `&key-marker=${next[1]}&version-id-marker=${next[2]}`;
  }
  return [...load.acknowledgedSums]
    .filter(([path]) => path.startsWith(`${bucket}/`))
    .flatMap(([path, sums]) => [...sums].filter((sum) => !found.get(path)?.has(sum)).map((sum) => `${path} ${sum}`));
}

async function running(product: Product): Promise<readonly Service[]> {
  const answer = await product.rest('GET', '/api/v1/services');
  const { services } = (await answer.json()) as { services: Service[] };
  return services;
}

async function isSettled(product: Product): Promise<boolean> {
  const services = await running(product).catch(() => []);
  return services.length > 0 && services.every(({ state }) => state === 'STATE_READY');
}

/** Files of writes that did not come to an end. */
function leftovers(product: Product, datasource: string): readonly string[] {
  const folder = join(product.folder(datasource), '.cellar', 'tmp');
  return existsSync(folder) ? readdirSync(folder) : [];
}

function differences(found: readonly string[], wanted: readonly string[]): string {
  const only = (a: readonly string[], b: readonly string[]): string[] => a.filter((line) => !b.includes(line)).slice(0, 5);
  return `only in the index ${JSON.stringify(only(found, wanted))}, only on the disk ${JSON.stringify(only(wanted, found))}`;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Numbers from 0 to 1, the same for the same seed. Source: the generator "mulberry32". */
function createRandom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
