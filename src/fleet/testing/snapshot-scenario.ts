import assert from 'node:assert/strict';
import { Cluster_Health } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { AgentType } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { ClusterSnapshot_State } from '#gen/cellar/fleet/v1/snapshots_pb.ts';
import { Fault } from '#kernel/fault.ts';
import { apply, type ChainGround, release, shows, so, type Used } from './chain-ground.ts';
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
  const call = async (member: number, path: string, body: Readonly<Record<string, string>>): Promise<unknown> => {
    // Another incarnation may lie on other nodes.
    const { endpoints, secrets } = await clusters.getConnection({ name: cluster });
    const urls = (endpoints['endpoints'] ?? secrets['endpoints'] ?? '').split(',');
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

  await restoreIntoAnother(ground, cluster);
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

/** Where members know each other by ports of the host it is refused: those of the other cluster would join the first. */
async function restoreIntoAnother(ground: ChainGround, cluster: string): Promise<void> {
  const { fleet } = ground;
  const { snapshots, clusters } = fleet.as(ann);
  const other = await apply(ground, 'etcd', { size: '3', fsync: 'false' }, true);
  const into = other.cluster.name;
  const restore = () => snapshots.restoreSnapshot({ cluster, name: 'first', into });
  const isShared = (await fleet.as(operator).hosts.getHost({ name: ground.host })).spec?.type === AgentType.PROCESS;
  if (isShared) await assert.rejects(restore(), withReason('snapshot_unfit'));
  else {
    await fleet.done(await restore());
    const { endpoints } = await clusters.getConnection({ name: into });
    const key = base64('before');
    const answer = await fetch(`${Object.values(endpoints)[0]}/v3/kv/range`, { method: 'POST', body: JSON.stringify({ key }) });
    const { kvs = [] } = (await answer.json()) as { kvs?: { value: string }[] };
    assert.equal(kvs[0]?.value, base64('kept'));
  }
  await release(ground, other);
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
    const { user = '', nodes = '' } = await connection();
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
  await forkOff(ground, used, { height, block });
  await release(ground, used);
}

/** Another cluster gets the chain and its keys: from there on there are two, and neither hears of the other's blocks. */
async function forkOff(
  ground: ChainGround,
  used: Used,
  { height, block }: { readonly height: number; readonly block: unknown },
): Promise<void> {
  const { fleet } = ground;
  const { snapshots, clusters } = fleet.as(ann);
  const parameters = { nodes: '2', blockSeconds: '1' };
  const elsewhere = await apply(ground, 'litecoin-regtest', { ...parameters, nodes: '1' }, true);
  const [cluster, name] = [used.cluster.name, 'then'];
  const withOther = snapshots.restoreSnapshot({ cluster, name, into: elsewhere.cluster.name });
  await assert.rejects(withOther, withReason('snapshot_unfit'));
  await release(ground, elsewhere);
  const bobs = await fleet.as(bob).engine.apply({ blueprint: 'litecoin-regtest', parameters, waitSeconds: 60 });
  const stolen = fleet.as(bob).snapshots.restoreSnapshot({ cluster, name, into: bobs.cluster?.name ?? '' });
  await assert.rejects(stolen, withReason('cluster_missing'));
  const given = fleet.as(operator).snapshots.restoreSnapshot({ cluster, name, into: bobs.cluster?.name ?? '' });
  await assert.rejects(given, withReason('snapshot_foreign'));
  await fleet.as(bob).engine.release({ id: bobs.id });

  const other = await apply(ground, 'litecoin-regtest', parameters, true);
  await fleet.done(await snapshots.restoreSnapshot({ cluster, name, into: other.cluster.name }));
  const { endpoints, secrets } = await clusters.getConnection({ name: other.cluster.name });
  assert.equal(secrets['password'], used.connection['password'], 'it has the keys of the first');
  const ask = async (nodes: string, method: string, ...params: readonly unknown[]): Promise<unknown> => {
    const authorization = `Basic ${base64(`${used.connection['user']}:${secrets['password']}`)}`;
    const request = { method: 'POST', headers: { authorization }, body: JSON.stringify({ id: 1, method, params }) };
    return ((await (await fetch(nodes.split(',')[0] ?? '', request)).json()) as { result?: unknown }).result;
  };
  const [first, second] = [used.connection['nodes'] ?? '', { ...endpoints, ...secrets }['nodes'] ?? ''];
  assert.notEqual(first, second);
  assert.equal(await ask(second, 'getblockhash', height), block, 'it has the blocks of then');
  await so(ground, 'it goes on', async () => Number(await ask(second, 'getblockcount')) > height + 2);
  const [ours, theirs] = [await ask(first, 'getblockhash', height + 2), await ask(second, 'getblockhash', height + 2)];
  assert.ok(ours && theirs && ours !== theirs, 'each goes its own way');
  const peers = (await ask(second, 'getpeerinfo')) as readonly unknown[];
  assert.ok(peers.length > 0 && peers.length <= 2, 'nobody of the first is among its peers');
  await release(ground, other);
}
