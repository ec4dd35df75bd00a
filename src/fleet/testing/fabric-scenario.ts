import { Cluster_Health } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { apply, type ChainGround, killAndHeal, release, shows } from './chain-ground.ts';

/**
 * Three orderers and two organisations: the channel takes transactions, also after the kill of an orderer and of a peer; without a majority of
 * orderers it has failed.
 */
export async function fabricScenario(ground: ChainGround): Promise<void> {
  const used = await apply(ground, 'hyperledger-fabric', { transactionSeconds: '5' });
  await shows(ground, used, [Cluster_Health.OK]);
  await killAndHeal(ground, used, 'orderer-1');
  await killAndHeal(ground, used, 'peer-1');
  for (const member of ['orderer-1', 'orderer-2']) await ground.freeze(used.cluster, member);
  await shows(ground, used, [Cluster_Health.FAILED], /^(QuorumLost|NoTransaction): /);
  for (const member of ['orderer-1', 'orderer-2']) await ground.thaw(used.cluster, member);
  await shows(ground, used, [Cluster_Health.OK]);
  await release(ground, used);
}
