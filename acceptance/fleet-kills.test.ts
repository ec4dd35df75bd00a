import assert from 'node:assert/strict';
import { globSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { anvilMissing, freePortRange, listeningPorts, memberGroups, memberProcesses, rpc } from './chains.ts';
import { type Product, startProduct, waitUntil } from './harness.ts';

/*
 * kill -9 of the whole platform while a pool of local chains is filled, given out, reset, released and deleted. Whoever starts it again finds
 * a pool that becomes whole by itself: what was acknowledged is so, used chains were never touched, and nothing is left over.
 *
 * `CELLAR_FLEET_KILLS=100` for a long run, `CELLAR_SEED` for another one.
 */
const kills = Number(process.env['CELLAR_FLEET_KILLS'] ?? 3);
const seed = Number(process.env['CELLAR_SEED'] ?? 1);
const capacity = 5;
/** How long something may take on a busy machine. Unit: milliseconds. */
const patienceMs = 120_000;
/** Later than the last event of all verbs together, so that some kills come when all is done. */
const eventsMax = 30;

interface ClusterView {
  readonly name: string;
  readonly state: string;
  readonly health: string;
  readonly claim?: string;
  readonly incarnation: number;
  readonly endpoints: { readonly rpc: string };
}

interface ClaimView {
  readonly id: string;
  readonly state: string;
  readonly userName: string;
  readonly cluster: ClusterView;
}

interface Pool {
  readonly clusters: readonly ClusterView[];
  /** Not ended. */
  readonly claims: readonly ClaimView[];
  readonly running: readonly unknown[];
  readonly host: { readonly state: string; readonly clusters: number; readonly free: number; readonly used: number };
}

/** A verb that was asked for, and what has to be so once it was acknowledged. */
interface Asked {
  readonly what: string;
  readonly answer: Promise<Answer | undefined>;
  readonly holds: (pool: Pool, answer: Answer) => void;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

test(`${kills} kills of all of Cellar: the pool ends whole, and used chains go on`, {
  skip: anvilMissing(),
  timeout: 180_000 + kills * 60_000,
}, async (t) => {
  const random = createRandom(seed);
  // No port is to spare: one that is never given back would keep the pool from getting whole.
  const portFirst = await freePortRange(capacity);
  const portLast = portFirst + capacity - 1;
  const product = await startProduct({ datasources: ['docs'], env: { CELLAR_FLEET_LOOK_SECONDS: '1' } });
  t.after(async () => {
    // Members would outlive the platform, which a failed test may have left killed.
    if (!isAlive(product.pid())) await product.start();
    await product.cliWith({ timeoutMs: patienceMs }, 'host', 'delete', 'local', '--force', '--yes');
    await product[Symbol.asyncDispose]();
  });

  const ask = async (method: string, path: string, json?: unknown): Promise<Answer> => {
    const signal = AbortSignal.timeout(patienceMs);
    const answer = await product.rest(method, `/api/v1/${path}`, { signal, ...(json === undefined ? {} : { json }) });
    return { status: answer.status, body: await answer.json() };
  };
  const get = async <T>(path: string): Promise<T> => {
    const { status, body } = await ask('GET', path);
    assert.equal(status, 200, `${path}: ${JSON.stringify(body)}`);
    return body as T;
  };
  const look = async (): Promise<Pool> => ({
    // What is empty is left out.
    clusters: (await get<{ clusters?: ClusterView[] }>('clusters?page_size=1000')).clusters ?? [],
    claims: (await get<{ claims?: ClaimView[] }>('claims?page_size=1000')).claims ?? [],
    running: (await get<{ operations?: unknown[] }>('operations?state=STATE_RUNNING')).operations ?? [],
    host: (await get<{ status: Pool['host'] }>('hosts/local')).status,
  });
  const isWhole = ({ clusters, claims, running, host }: Pool): boolean =>
    host.state === 'STATE_ACTIVE' &&
    running.length === 0 &&
    claims.every(({ state }) => state === 'STATE_BOUND') &&
    clusters.every(({ state, health }) => state === 'STATE_READY' && health === 'HEALTH_OK');
  const whole = async (why: string): Promise<Pool> => {
    let pool: Pool | undefined;
    await waitUntil(
      async () => {
        pool = await look().catch(() => undefined);
        return pool !== undefined && isWhole(pool);
      },
      patienceMs,
      () => `${why}: the pool does not get whole: ${JSON.stringify(pool, null, 1)}\n${product.logs()}`,
    );
    assert.ok(pool);
    return pool;
  };
  const fill = async (why: string): Promise<Pool> => {
    assert.equal((await ask('POST', 'hosts/local:fillup', {})).status, 200);
    const pool = await whole(why);
    assert.deepEqual([pool.host.clusters, pool.clusters.length], [capacity, capacity], why);
    return pool;
  };
  const apply = () => ask('POST', 'claims', { blueprint: 'evm-dev', allow_multiple: true, wait_seconds: 30 });
  const pidsOf = (cluster: string) =>
    memberProcesses(product.home)
      .filter((one) => one.cluster === cluster)
      .map(({ pid }) => pid);

  /** Some of all verbs at once, each for a cluster of its own. */
  const begin = (pool: Pool, witness: string): readonly Asked[] => {
    const free = pool.clusters.filter(({ claim }) => !claim);
    const others = pool.claims.filter(({ id }) => id !== witness);
    const [toDelete, toReset] = free;
    const release = others[0];
    const fate = (name: string) => (after: Pool) => after.clusters.find((one) => one.name === name);
    const verbs: [what: string, call: () => Promise<Answer>, holds: Asked['holds']][] = [
      [
        'apply',
        apply,
        ({ claims, clusters }, { body }) => {
          const { id, userName, cluster } = body as ClaimView;
          const claim = claims.find((one) => one.id === id);
          assert.deepEqual([claim?.userName, claim?.cluster.name], [userName, cluster.name]);
          // Who is given the one that is being reset keeps it.
          assert.equal(clusters.find(({ name }) => name === cluster.name)?.claim, id);
        },
      ],
      ['fillup', () => ask('POST', 'hosts/local:fillup', {}), ({ host }) => assert.ok(host.clusters >= capacity - 1)],
    ];
    if (toDelete) {
      const { name } = toDelete;
      const call = () => ask('DELETE', `clusters/${name}`);
      verbs.push(['delete', call, (after) => assert.equal(fate(name)(after), undefined)]);
    }
    if (toReset) {
      const { name, incarnation } = toReset;
      const call = () => ask('POST', `clusters/${name}:reset`, {});
      verbs.push(['reset', call, (after) => assert.ok((fate(name)(after)?.incarnation ?? 0) > incarnation)]);
    }
    if (release) {
      const { id, cluster } = release;
      const call = () => ask('POST', `claims/${id}:release`, {});
      verbs.push([
        'release',
        call,
        (after) => {
          assert.equal(
            after.claims.find((one) => one.id === id),
            undefined,
          );
          assert.ok((fate(cluster.name)(after)?.incarnation ?? 0) > cluster.incarnation);
        },
      ]);
    }
    const chosen = verbs.filter(() => random() < 0.7);
    return (chosen.length > 0 ? chosen : verbs).map(([what, call, holds]) => ({
      what,
      holds,
      // One that the kill cuts off was not acknowledged.
      answer: call().catch(() => undefined),
    }));
  };

  /** What is on the machine is what the pool says, and nothing else. */
  const assertNothingLeft = async (pool: Pool, why: string): Promise<void> => {
    const held = pool.clusters.flatMap(({ name, claim }) => (claim ? [`${claim} ${name}`] : []));
    assert.deepEqual(held.toSorted(), pool.claims.map(({ id, cluster }) => `${id} ${cluster.name}`).toSorted(), `${why}: claims`);
    const wanted = pool.clusters.map(({ name, incarnation }) => `${name}.${incarnation}`).toSorted();
    const found = memberProcesses(product.home);
    const names = found.map(({ cluster, incarnation }) => `${cluster}.${incarnation}`);
    assert.deepEqual([...new Set(names)].toSorted(), wanted, `${why}: processes`);
    // Each member is its keeper and the program.
    assert.equal(found.length, 2 * wanted.length, `${why}: processes run twice`);
    const [folder = ''] = globSync(`${product.home}/**/process/local`);
    assert.deepEqual(readdirSync(folder).toSorted(), wanted, `${why}: folders`);
    const groups = memberGroups(found[0]?.fleet ?? '').map((name) => name.split('~').slice(2, 4).join('.'));
    if (groups.length > 0) assert.deepEqual(groups.toSorted(), wanted, `${why}: control groups`);
    const ports = pool.clusters.map(({ endpoints }) => Number(new URL(endpoints.rpc).port)).toSorted((a, b) => a - b);
    assert.deepEqual(listeningPorts(portFirst, portLast), ports, `${why}: ports`);
    for (const { endpoints, claim } of pool.clusters)
      if (!claim) assert.equal(await rpc(endpoints.rpc, 'eth_blockNumber'), '0x0', `${why}: a free chain is new`);
  };

  const range = `${portFirst}-${portLast}`;
  const added = await product.cliWith(
    { timeoutMs: patienceMs },
    ...['host', 'add', 'local', '--type', 'process', '--capacity', String(capacity), '--template', 'evm-dev', '--ports', range],
  );
  assert.equal(added.exitCode, 0, added.stderr);
  await fill('at first');
  const witness = (await apply()).body as ClaimView;
  const chain = witness.cluster.endpoints.rpc;
  const [from, to] = (await rpc(chain, 'eth_accounts')) as [string, string];
  const pids = pidsOf(witness.cluster.name);
  assert.equal(pids.length, 2);

  const moments: string[] = [];
  for (let kill = 1; kill <= kills; kill++) {
    if ((await look()).claims.length < 2) await apply();
    const pool = await fill(`before kill ${kill}`);
    const height = await mine(chain, from, to);
    const kept = pool.clusters.filter(({ claim }) => claim);
    const meter = await eventMeter(product);
    const asked = begin(pool, witness.id);
    const wanted = 1 + Math.floor(random() * eventsMax);
    // Not before something was answered: a platform that never heard of it has nothing to bring to an end.
    await Promise.any(asked.map(({ answer }) => answer));
    await waitUntil(async () => meter.count() >= wanted || isWhole(await look()), patienceMs, product.logs);
    await killAll(product);
    meter.close();
    const answers = await Promise.all(asked.map(async (one) => ({ ...one, answer: await one.answer })));
    const acknowledged = answers.filter(({ answer }) => answer?.status === 200);
    const verbs = answers.map(({ what, answer }) => `${what}${answer?.status === 200 ? '' : '?'}`).join(' ');
    const say = `kill ${kill} (seed ${seed}) after ${meter.count()} events of ${verbs}`;
    moments.push(`${meter.count()}: ${verbs}`);

    assert.deepEqual(pidsOf(witness.cluster.name), pids, `${say}: a used chain goes on without Cellar`);
    assert.equal(await rpc(chain, 'eth_blockNumber'), height, say);
    await product.start();
    const after = await whole(say);
    for (const { what, answer, holds } of acknowledged) {
      assert.ok(answer);
      try {
        holds(after, answer);
      } catch (error) {
        throw new Error(`${say}: ${what} was acknowledged and is not so: ${JSON.stringify(after)}`, { cause: error });
      }
    }
    const released = acknowledged.some(({ what }) => what === 'release');
    for (const { claim, name, incarnation } of kept) {
      if (released && claim !== witness.id) continue;
      const now = after.clusters.find((one) => one.name === name);
      // One whose release was not acknowledged may be either.
      if (now?.claim !== claim && claim !== witness.id && verbs.includes('release?')) continue;
      assert.deepEqual([now?.claim, now?.incarnation], [claim, incarnation], `${say}: a used chain is kept`);
    }
    assert.deepEqual(pidsOf(witness.cluster.name), pids, `${say}: a used chain is taken over as it is`);
    assert.equal(await rpc(chain, 'eth_blockNumber'), height, say);
    await assertNothingLeft(after, say);
  }
  await assertNothingLeft(await fill('in the end'), 'in the end');
  t.diagnostic(moments.join('; '));
});

/** One more transaction; the height of its block. */
async function mine(url: string, from: string, to: string): Promise<unknown> {
  const hash = await rpc(url, 'eth_sendTransaction', { from, to, value: '0x1' });
  // The hash is known before the block is.
  await waitUntil(async () => (await rpc(url, 'eth_getTransactionReceipt', hash)) !== null, patienceMs);
  return await rpc(url, 'eth_blockNumber');
}

/** Counts the events of the fleet as they happen, from now on. */
async function eventMeter(product: Product): Promise<{ count(): number; close(): void }> {
  const leave = new AbortController();
  const answer = await product.rest('GET', '/api/v1/fleet/events?follow=true&last=1', {
    headers: { accept: 'text/event-stream' },
    signal: leave.signal,
  });
  let seen = 0;
  const read = async (): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const piece of answer.body ?? [])
      seen += decoder.decode(piece, { stream: true }).match(/^data: \{/gm)?.length ?? 0;
  };
  // It ends with the platform.
  read().catch(() => undefined);
  await waitUntil(() => seen > 0, patienceMs);
  return { count: () => seen - 1, close: () => leave.abort() };
}

/** The main process first, so that nothing is started again, then all that it has forked. */
async function killAll(product: Product): Promise<void> {
  const answer = await product.rest('GET', '/api/v1/services');
  const { services } = (await answer.json()) as { services: { pid: number }[] };
  const main = product.pid();
  const forks = new Set(services.map(({ pid }) => pid).filter((pid) => pid > 0 && pid !== main));
  assert.ok(forks.size > 0, 'services run in processes of their own');
  process.kill(main, 'SIGKILL');
  for (const pid of forks) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  await waitUntil(() => [main, ...forks].every((pid) => !isAlive(pid)), patienceMs);
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
