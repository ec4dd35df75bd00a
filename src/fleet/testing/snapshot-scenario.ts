import assert from 'node:assert/strict';
import { Cluster_Health } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { ClusterSnapshot_State } from '#gen/cellar/fleet/v1/snapshots_pb.ts';
import { Fault } from '#kernel/fault.ts';
import { apply, type ChainGround, release, shows, so } from './chain-ground.ts';
import { operator, userNamed } from './fleet-platform.ts';

const { OK } = Cluster_Health;
const ann = userNamed('ann');
const bob = userNamed('bob');
const withReason = (reason: string) => (error: unknown) => {
  assert.equal(Fault.from(error).reason, reason);
  return true;
};
const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** Three members of etcd: what was written before a snapshot is there again, what was written after is gone; others see nothing of it. */
export async function etcdSnapshotScenario(ground: ChainGround): Promise<void> {
  const { fleet } = ground;
  const used = await apply(ground, 'etcd', { size: '3', fsync: 'false' });
  const cluster = used.cluster.name;
  const urls = (used.connection['endpoints'] ?? '').split(',');
  const call = async (member: number, path: string, body: Readonly<Record<string, string>>): Promise<unknown> => {
    const encoded = Object.fromEntries(Object.entries(body).map(([name, text]) => [name, base64(text)]));
    const response = await fetch(`${urls[member]}${path}`, { method: 'POST', body: JSON.stringify(encoded) });
    if (!response.ok) throw new Error(await response.text());
    return await response.json();
  };
  const put = (key: string, value: string) => call(0, '/v3/kv/put', { key, value });
  const get = async (key: string, member = 1): Promise<string> => {
    const { kvs = [] } = (await call(member, '/v3/kv/range', { key })) as { kvs?: { value: string }[] };
    return Buffer.from(kvs[0]?.value ?? '', 'base64').toString();
  };
  const { snapshots, clusters } = fleet.as(ann);

  await put('before', 'kept');
  await fleet.done(await snapshots.createSnapshot({ cluster, name: 'first' }));
  const { message, state } = await snapshots.getSnapshot({ cluster, name: 'first' });
  assert.equal(state, ClusterSnapshot_State.READY, message);
  await shows(ground, used, [OK]);
  assert.equal(await get('before'), 'kept');
  await assert.rejects(snapshots.createSnapshot({ cluster, name: 'first' }), withReason('snapshot_exists'));

  await put('after', 'lost');
  await put('before', 'overwritten');
  await fleet.done(await snapshots.restoreSnapshot({ cluster, name: 'first' }));
  await shows(ground, used, [OK]);
  for (const member of [0, 1, 2])
    await so(ground, `member ${member} has what was saved`, async () => (await get('before', member)) === 'kept');
  assert.equal(await get('after'), '');
  await put('later', 'goes on');
  assert.equal(await get('later', 2), 'goes on');

  await fleet.done(await clusters.resetCluster({ name: cluster }));
  await so(ground, 'the next incarnation is empty', async () => (await get('before')) === '');
  await fleet.done(await snapshots.restoreSnapshot({ cluster, name: 'first' }));
  await so(ground, 'it has what was saved', async () => (await get('before', 2)) === 'kept');

  await assert.rejects(fleet.as(bob).snapshots.getSnapshot({ cluster, name: 'first' }), withReason('cluster_missing'));
  assert.deepEqual((await fleet.as(bob).snapshots.listSnapshots({ cluster: '-' })).snapshots, []);
  const [listed, ...others] = (await snapshots.listSnapshots({ cluster: '-' })).snapshots;
  assert.ok(listed && others.length === 0 && listed.name === 'first' && listed.volumes === 3 && listed.sizeBytes > 0n);
  await release(ground, used);
  await so(ground, 'its snapshots go with the claim', async () => {
    const left = await fleet.as(operator).snapshots.listSnapshots({ cluster: '-' });
    return left.snapshots.length === 0;
  });
}

/** A chain that was reset gets its blocks back, and the password that clients had then. */
export async function litecoinSnapshotScenario(ground: ChainGround): Promise<void> {
  const { fleet } = ground;
  const used = await apply(ground, 'litecoin-regtest', { nodes: '2', blockSeconds: '1' });
  const cluster = used.cluster.name;
  const { snapshots, clusters } = fleet.as(ann);
  const connection = async (): Promise<Readonly<Record<string, string>>> => {
    const { secrets, endpoints } = await clusters.getConnection({ name: cluster });
    return { ...endpoints, ...secrets };
  };
  const ask = async (password: string, method: string, ...params: readonly unknown[]): Promise<unknown> => {
    const { user = '', nodes = '' } = used.connection;
    const authorization = `Basic ${base64(`${user}:${password}`)}`;
    const request = { method: 'POST', headers: { authorization }, body: JSON.stringify({ id: 1, method, params }) };
    const answer = await fetch(nodes.split(',')[1] ?? '', request);
    const { result } = (await answer.json().catch(() => ({ result: undefined }))) as { result?: unknown };
    return result;
  };
  const { password = '' } = await connection();
  await so(ground, 'there are blocks', async () => Number(await ask(password, 'getblockcount')) > 2);
  const height = Number(await ask(password, 'getblockcount'));
  const block = await ask(password, 'getblockhash', height);
  await fleet.done(await snapshots.createSnapshot({ cluster, name: 'then' }));

  await fleet.done(await clusters.resetCluster({ name: cluster }));
  const { password: other = '' } = await connection();
  assert.ok(other !== '' && other !== password, 'another incarnation has other keys');
  assert.notEqual(await ask(other, 'getblockhash', height), block);
  assert.equal(await ask(password, 'getblockcount'), undefined);

  await fleet.done(await snapshots.restoreSnapshot({ cluster, name: 'then' }));
  assert.equal((await connection())['password'], password);
  await so(ground, 'the block is there again', async () => (await ask(password, 'getblockhash', height)) === block);
  await so(ground, 'the chain goes on', async () => Number(await ask(password, 'getblockcount')) > height);
  await release(ground, used);
}
