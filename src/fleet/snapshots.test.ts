import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { Cluster_Health } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { AgentType } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { ClusterSnapshot_State } from '#gen/cellar/fleet/v1/snapshots_pb.ts';
import { Fault } from '#kernel/fault.ts';
import { apply, release, shows, so } from './testing/chain-ground.ts';
import { operator, startFleet, userNamed } from './testing/fleet-platform.ts';

const etcdMissing = (): string | undefined => {
  if (!spawnSync('etcd', ['--version']).error) return undefined;
  const reason = 'etcd is not on the PATH; enable with: apt-get install etcd-server';
  if (process.env['CI']) throw new Error(reason);
  return reason;
};

const ann = userNamed('ann');
const bob = userNamed('bob');
const withReason = (reason: string) => (error: unknown) => {
  assert.equal(Fault.from(error).reason, reason);
  return true;
};

test('etcd: what was written before a snapshot is there again, what was written after is gone', {
  skip: etcdMissing() ?? false,
  timeout: 240_000,
}, async (t) => {
  const fleet = await startFleet(t);
  const spec = { type: AgentType.PROCESS, capacity: 1, portFirst: 23_400, portLast: 23_499 };
  await fleet.as(operator).hosts.createHost({ host: { name: 'local', spec } });
  const unused = () => Promise.reject(new Error('This is not asked here'));
  const ground = { fleet, host: 'local', kill: unused, freeze: unused, thaw: unused };
  const used = await apply(ground, 'etcd', { size: '3', fsync: 'false' });
  const cluster = used.cluster.name;
  const urls = (used.connection['endpoints'] ?? '').split(',');
  const call = async (member: number, path: string, body: Readonly<Record<string, string>>): Promise<unknown> => {
    const encoded = Object.fromEntries(Object.entries(body).map(([name, text]) => [name, Buffer.from(text).toString('base64')]));
    const response = await fetch(`${urls[member]}${path}`, { method: 'POST', body: JSON.stringify(encoded) });
    if (!response.ok) throw new Error(await response.text());
    return await response.json();
  };
  const put = (key: string, value: string) => call(0, '/v3/kv/put', { key, value });
  const get = async (key: string, member = 1): Promise<string> => {
    const { kvs = [] } = (await call(member, '/v3/kv/range', { key })) as { kvs?: { value: string }[] };
    return Buffer.from(kvs[0]?.value ?? '', 'base64').toString();
  };
  const { snapshots } = fleet.as(ann);

  await put('before', 'kept');
  const { message, state } = await (async () => {
    await fleet.done(await snapshots.createSnapshot({ cluster, name: 'first' }));
    return await snapshots.getSnapshot({ cluster, name: 'first' });
  })();
  assert.equal(state, ClusterSnapshot_State.READY, message);
  await shows(ground, used, [Cluster_Health.OK]);
  assert.equal(await get('before'), 'kept');
  await assert.rejects(snapshots.createSnapshot({ cluster, name: 'first' }), withReason('snapshot_exists'));

  await put('after', 'lost');
  await put('before', 'overwritten');
  await fleet.done(await snapshots.restoreSnapshot({ cluster, name: 'first' }));
  await shows(ground, used, [Cluster_Health.OK]);
  for (const member of [0, 1, 2])
    await so(ground, `member ${member} has what was saved`, async () => (await get('before', member)) === 'kept');
  assert.equal(await get('after'), '');
  await put('later', 'goes on');
  assert.equal(await get('later', 2), 'goes on');

  // The next incarnation knows nothing of it, and has other keys.
  await fleet.done(await fleet.as(ann).clusters.resetCluster({ name: cluster }));
  await so(ground, 'the cluster is empty', async () => (await get('before')) === '');
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
});
