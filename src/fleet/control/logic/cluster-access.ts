import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import type { Caller } from '#kernel/calls/caller.ts';
import { notFound } from '#kernel/fault.ts';
import type { FleetStore, StoredCluster } from '../store/store.ts';

/** Administrators and services see and change all clusters; users those they have claimed. */
export const isOperator = ({ roles }: Caller): boolean => roles.includes(Role.ADMIN) || roles.includes(Role.SERVICE);

/** A cluster that the caller may see. Errors: `not_found`, also for one of somebody else: names are not told to strangers. */
export async function visibleCluster(store: FleetStore, name: string, caller: Caller): Promise<StoredCluster> {
  const cluster = await store.cluster(name);
  if (cluster && (isOperator(caller) || cluster.owner === caller.id)) return cluster;
  throw notFound(`There is no cluster "${name}"`, {
    reason: 'cluster_missing',
    hint: '`cellar clusters` shows those there are.',
  });
}
