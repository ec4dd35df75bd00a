import assert from 'node:assert/strict';
import { type Cluster, Cluster_Health } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { apply, type ChainGround, killAndHeal, release, shows, so } from './chain-ground.ts';
import { startFabricChaincode } from './fabric-chaincode.ts';
import { fabricClient } from './fabric-client.ts';
import { userNamed } from './fleet-platform.ts';

const { OK, DEGRADED, FAILED } = Cluster_Health;

/**
 * Three orderers and two organisations. A user deploys a chaincode as a service; what it writes is read from both organisations, also over the kill of an
 * orderer and of a peer, a stop and a snapshot; an orderer that does not answer is told by name, two are a failure.
 *
 * @param hostFor One of this machine's addresses that a cluster's peers reach.
 */
export async function fabricScenario(
  { image, ...ground }: ChainGround,
  hostFor: (cluster: Cluster) => Promise<string> = async () => '127.0.0.1',
): Promise<void> {
  const images = image === undefined ? {} : { ordererImage: image, peerImage: image, toolsImage: image };
  const used = await apply(ground, 'hyperledger-fabric', { transactionSeconds: '5', ...images });
  const { clusters, snapshots } = ground.fleet.as(userNamed('ann'));
  const { name } = used.cluster;
  const { files } = await clusters.getConnection({ name });
  using client = fabricClient(files);
  await using chaincode = await startFabricChaincode(await hostFor(used.cluster));
  const put = (value: string) => client.invoke('kv', 'put', 'name', value);
  const has = (value: string) =>
    so(ground, `both organisations have "${value}"`, async () => {
      const found = await Promise.all([0, 1].map((peer) => client.query(peer, 'kv', 'get', 'name').catch(String)));
      return found.every((one) => one === value);
    });

  await client.deploy('kv', chaincode.address, (id) => {
    chaincode.packageId = id;
  });
  await put('first');
  await has('first');
  await killAndHeal(ground, used, 'orderer-1');
  await killAndHeal(ground, used, 'peer-1');
  await has('first');

  await ground.freeze(used.cluster, 'orderer-2');
  await shows(ground, used, [DEGRADED], /^QuorumLost: .*orderer-2/);
  await so(ground, 'two of three still order', () =>
    put('second').then(
      () => true,
      () => false,
    ),
  );
  await ground.freeze(used.cluster, 'orderer-1');
  await shows(ground, used, [FAILED], /^QuorumLost: .*orderer-1.*orderer-2/);
  for (const member of ['orderer-1', 'orderer-2']) await ground.thaw(used.cluster, member);
  await shows(ground, used, [OK]);

  await ground.fleet.done(await clusters.stopCluster({ name }));
  await ground.fleet.done(await clusters.startCluster({ name }));
  await has('second');
  await ground.fleet.done(await snapshots.createSnapshot({ cluster: name, name: 'then' }));
  await put('third');
  await has('third');
  await ground.fleet.done(await snapshots.restoreSnapshot({ cluster: name, name: 'then' }));
  await has('second');
  await put('fourth');
  await has('fourth');
  assert.equal((await clusters.getCluster({ name })).incarnation, used.cluster.incarnation);
  await release(ground, used);
}
