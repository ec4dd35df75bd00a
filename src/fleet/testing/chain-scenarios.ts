import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cluster, Cluster_Health } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { type FleetPlatform, userNamed } from './fleet-platform.ts';

/** Where a scenario plays, and how it reaches members behind the fleet's back. */
export interface ChainGround {
  readonly fleet: FleetPlatform;
  /** A host that is there and has room. */
  readonly host: string;
  /** Absent: the blueprint's own. */
  readonly image?: string;
  /** Ends a member's program by force (SIGKILL), without any word to the fleet. */
  kill(cluster: Cluster, member: string): Promise<void>;
  /** A member runs on and answers nobody any more, such as by SIGSTOP or a cut network. */
  freeze(cluster: Cluster, member: string): Promise<void>;
  thaw(cluster: Cluster, member: string): Promise<void>;
  /** How long one step may take; 60 s when absent. */
  readonly patienceMs?: number;
}

const { OK, DEGRADED, FAILED } = Cluster_Health;
const ann = userNamed('ann');

/**
 * A chain of four nodes: is built and given to a user, a payment gets round, a node killed comes back with its chain, one that is cut off makes
 * a fork and is told by name, and follows the others when it is back.
 */
export async function litecoinScenario(ground: ChainGround): Promise<void> {
  const used = await apply(ground, 'litecoin-regtest', { nodes: '4', blockSeconds: '1' });
  const { user = '', password = '', wallet, nodes = '' } = used.connection;
  const urls = nodes.split(',');
  assert.equal(urls.length, 4);
  const ask = async <T>(node: number, method: string, params: readonly unknown[] = [], path = ''): Promise<T> =>
    (await jsonRpc(`${urls[node]}${path}`, { user, password }, method, params)) as T;
  const height = (node: number) => ask<number>(node, 'getblockcount');

  const target = await ask<string>(0, 'getnewaddress', [], `/wallet/${wallet}`);
  const payment = await ask<string>(0, 'sendtoaddress', [target, 1], `/wallet/${wallet}`);
  let block = '';
  await so(ground, 'the payment is in a block', async () => {
    const found = await ask<{ blockhash?: string }>(0, 'gettransaction', [payment], `/wallet/${wallet}`);
    block = found.blockhash ?? '';
    return block !== '';
  });
  /** One that was killed has to be told of the newest blocks again. */
  const holds = async (node: number): Promise<boolean> => {
    const found = await ask<{ tx: readonly string[] }>(node, 'getblock', [block]).catch(() => undefined);
    return found?.tx.includes(payment) === true;
  };
  await so(ground, 'the last node knows the block', () => holds(3));

  await ground.kill(used.cluster, 'node-1');
  await restarted(ground, used, 'node-1');
  await so(ground, 'it has the chain again', () => holds(1));
  const before = await height(0);
  await so(ground, 'the chain goes on with all', async () => (await height(1)) > before);

  await ask(3, 'setnetworkactive', [false]);
  await shows(ground, used, [DEGRADED], /^Alone: .*node-3/);
  // It is asked for blocks like the others, and pays them to itself.
  const seenByOthers = async (): Promise<boolean> => {
    const own = await ask<string>(3, 'getbestblockhash');
    return await ask(0, 'getblockheader', [own]).then(
      () => true,
      () => false,
    );
  };
  await so(ground, 'the lonely node has a fork, and the shorter one', async () => {
    const [own, others] = [await height(3), await height(0)];
    return !(await seenByOthers()) && own < others;
  });
  await ask(3, 'setnetworkactive', [true]);
  // By itself it would try again in up to a minute.
  for (const { addednode } of await ask<readonly { addednode: string }[]>(3, 'getaddednodeinfo'))
    await ask(3, 'addnode', [addednode, 'onetry']);
  await shows(ground, used, [OK]);
  // Which one wins is open when the lonely node was just given a block.
  await so(ground, 'one fork has lost', async () => {
    const tips = await Promise.all([0, 1, 2, 3].map((node) => ask<readonly { status: string }[]>(node, 'getchaintips')));
    return tips.flat().some(({ status }) => status === 'valid-fork');
  });

  const lost = ['node-1', 'node-2', 'node-3'];
  for (const member of lost) await ground.freeze(used.cluster, member);
  await shows(ground, used, [FAILED]);
  for (const member of lost) await ground.thaw(used.cluster, member);
  await shows(ground, used, [OK]);
  await so(ground, 'nothing is lost', () => holds(2));
  await release(ground, used);
}

/**
 * Three members that agree by Raft: what is written is read elsewhere, also over the kill of a member; one that does not answer is told by
 * name, two are a failure, and nothing is lost.
 */
export async function etcdScenario(ground: ChainGround): Promise<void> {
  const used = await apply(ground, 'etcd', { size: '3', fsync: 'false' });
  const urls = (used.connection['endpoints'] ?? '').split(',');
  assert.equal(urls.length, 3);
  const put = (member: number, key: string, value: string) =>
    post(`${urls[member]}/v3/kv/put`, { key: base64(key), value: base64(value) });
  const get = async (member: number, key: string): Promise<string> => {
    const { kvs = [] } = (await post(`${urls[member]}/v3/kv/range`, { key: base64(key) })) as { kvs?: { value: string }[] };
    return Buffer.from(kvs[0]?.value ?? '', 'base64').toString();
  };
  await put(0, 'name', 'first');
  assert.equal(await get(2, 'name'), 'first');

  await ground.kill(used.cluster, 'member-1');
  await restarted(ground, used, 'member-1');
  await so(ground, 'the member is back with its data', async () => (await get(1, 'name')) === 'first');

  await ground.freeze(used.cluster, 'member-2');
  await shows(ground, used, [DEGRADED], /^QuorumLost: .*member-2/);
  await so(ground, 'two of three still write', () =>
    put(0, 'name', 'second').then(
      () => true,
      () => false,
    ),
  );
  await ground.freeze(used.cluster, 'member-1');
  await shows(ground, used, [FAILED], /^QuorumLost: .*member-1/);
  await ground.thaw(used.cluster, 'member-1');
  await ground.thaw(used.cluster, 'member-2');
  await shows(ground, used, [OK]);
  for (const member of [0, 1, 2]) await so(ground, 'nothing is lost', async () => (await get(member, 'name')) === 'second');
  await release(ground, used);
}

interface Used {
  readonly claim: string;
  readonly cluster: Cluster;
  readonly connection: Readonly<Record<string, string>>;
}

/** Builds a cluster on demand and takes it, as a user does. */
async function apply(
  { fleet, host, image, patienceMs = patienceMsDefault }: ChainGround,
  blueprint: string,
  parameters: Readonly<Record<string, string>>,
): Promise<Used> {
  const { engine, clusters } = fleet.as(ann);
  const claim = await engine.apply({
    blueprint,
    parameters: { ...parameters, ...(image === undefined ? {} : { image }) },
    selectors: [{ host }],
    waitSeconds: Math.ceil(patienceMs / 1000),
  });
  assert.ok(claim.cluster);
  const { endpoints, secrets } = await clusters.getConnection({ name: claim.cluster.name });
  return { claim: claim.id, cluster: claim.cluster, connection: { ...endpoints, ...secrets } };
}

async function release({ fleet }: ChainGround, { claim }: Used): Promise<void> {
  await fleet.as(ann).engine.release({ id: claim });
}

/** Waits until a cluster's health is one of these, and its reason and message look so; it must never be built anew meanwhile. */
async function shows(ground: ChainGround, used: Used, healths: readonly Cluster_Health[], why = /(?:)/): Promise<void> {
  const { clusters } = ground.fleet.as(ann);
  const words = healths.map(wordOf).join(' or ');
  await so(ground, `the cluster is ${words} for ${why}`, async (see) => {
    const { health, conditions, incarnation, members } = await clusters.getCluster({ name: used.cluster.name });
    assert.equal(incarnation, used.cluster.incarnation, 'a used cluster is not built anew');
    const { reason = '', message = '' } = conditions.find(({ type }) => type === 'Healthy') ?? {};
    see(`${wordOf(health)} ${reason}: ${message}; ${members.map(({ name, message: text }) => `${name} ${text}`).join(', ')}`);
    return healths.includes(health) && why.test(`${reason}: ${message}`);
  });
}

/** Waits until the watchdog has started a member again and all is well. */
async function restarted(ground: ChainGround, used: Used, member: string): Promise<void> {
  const before = used.cluster.members.find(({ name }) => name === member);
  await so(ground, `${member} was started again`, async (see) => {
    const { members } = await ground.fleet.as(ann).clusters.getCluster({ name: used.cluster.name });
    const found = members.find(({ name }) => name === member);
    see(JSON.stringify([found?.state, found?.restarts, found?.message]));
    return found !== undefined && isLater(found.startTime, before?.startTime);
  });
  await shows(ground, used, [OK]);
}

const wordOf = (health: Cluster_Health): string =>
  Object.entries(Cluster_Health).find(([, value]) => value === health)?.[0] ?? '';

const isLater = (a: Cluster['createTime'], b: Cluster['createTime']): boolean =>
  (a?.seconds ?? 0n) > (b?.seconds ?? 0n) || ((a?.seconds ?? 0n) === (b?.seconds ?? 0n) && (a?.nanos ?? 0) > (b?.nanos ?? 0));

const patienceMsDefault = 60_000;
const lookMs = 100;

/** Errors: after the ground's patience, with what was seen last. */
async function so(
  { patienceMs = patienceMsDefault }: ChainGround,
  what: string,
  isSo: (see: (seen: string) => void) => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + patienceMs;
  let last = '';
  const see = (seen: string): void => {
    last = seen;
  };
  // A connection may have been left over from before a kill: that is no answer.
  const ask = (): Promise<boolean> =>
    isSo(see).catch((error: unknown) => {
      if (error instanceof TypeError && error.message === 'fetch failed') return false;
      throw error;
    });
  while (!(await ask())) {
    if (performance.now() > deadline) throw new Error(`Not so after ${patienceMs} ms: ${what}. Last seen: ${last}`);
    await sleep(lookMs);
  }
}

async function jsonRpc(
  url: string,
  { user, password }: { readonly user: string; readonly password: string },
  method: string,
  params: readonly unknown[],
): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` },
    body: JSON.stringify({ id: 1, method, params }),
  });
  const { result, error } = (await response.json()) as { result?: unknown; error?: { message: string } | null };
  if (error) throw new Error(`${method}: ${error.message}`);
  return result;
}

async function post(url: string, body: unknown): Promise<unknown> {
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(body), signal: AbortSignal.timeout(10_000) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text}`);
  return JSON.parse(text);
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
