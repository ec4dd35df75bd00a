import assert from 'node:assert/strict';
import { Cluster_Health } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { apply, type ChainGround, killAndHeal, release, shows, so } from './chain-ground.ts';

const { OK, DEGRADED, FAILED } = Cluster_Health;

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

  await killAndHeal(ground, used, 'member-1');
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

async function post(url: string, body: unknown): Promise<unknown> {
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(body), signal: AbortSignal.timeout(10_000) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text}`);
  return JSON.parse(text);
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
