import { aborted, failedPrecondition, notFound } from '#kernel/fault.ts';
import type { Goal, StoredCluster, StoredOperation } from '../store/store.ts';
import { endClaim } from './claims.ts';
import type { ControlParts } from './control-parts.ts';
import { factsOf } from './events.ts';
import { beginOperation } from './operations.ts';

export type ClusterVerb = 'start' | 'stop' | 'restart' | 'delete' | 'reset';

export interface ClusterOrder {
  readonly name: string;
  readonly verb: ClusterVerb;
  /** Ends the claim of a used cluster first. */
  readonly force: boolean;
  /** Only when the cluster is of this version; 0: whatever it is. */
  readonly version: number;
  /** Whoever has claimed the cluster may reset it without force. */
  readonly isOwner: boolean;
  readonly actor: string;
}

const goals: Readonly<Record<ClusterVerb, Goal>> = {
  start: 'ready',
  stop: 'stopped',
  restart: 'restarted',
  delete: 'gone',
  reset: 'renewed',
};

/**
 * Changes what is wanted of a cluster; the watchdog brings it there.
 * Errors: `not_found`; `aborted` with reason `version_differs`; `failed_precondition` with reason `cluster_used` or `cluster_going`.
 */
export async function orderCluster(parts: ControlParts, order: ClusterOrder): Promise<StoredOperation> {
  const { store, database, look } = parts;
  const { name, verb, force, actor } = order;
  for (;;) {
    const cluster = await store.cluster(name);
    if (!cluster) throw notFound(`There is no cluster "${name}"`, { reason: 'cluster_missing' });
    if (order.version !== 0 && order.version !== cluster.version) {
      throw aborted(`Cannot ${verb} cluster "${name}": it was changed meanwhile`, {
        reason: 'version_differs',
        hint: 'Read it again, then decide.',
      });
    }
    if (cluster.desired === 'absent' && verb !== 'delete')
      throw failedPrecondition(`Cannot ${verb} cluster "${name}": it is being deleted`, { reason: 'cluster_going' });
    const isDestroying = verb === 'delete' || (verb === 'reset' && !order.isOwner);
    if (cluster.claim !== '' && isDestroying) {
      if (!force) {
        throw failedPrecondition(`Cannot ${verb} cluster "${name}": it is used, see claim ${cluster.claim}`, {
          reason: 'cluster_used',
          hint: 'Have it released first, or use `force`, which ends the claim.',
        });
      }
      await endClaim(parts, cluster.claim, 'operator', actor);
      continue;
    }
    const operation = await database.transaction(async (tx) => {
      const changed = await store.updateCluster(tx, name, cluster.version, changesFor(verb, cluster, parts.now()));
      return changed === 'conflict'
        ? undefined
        : await beginOperation(parts, tx, { verb, kind: 'cluster', name, goal: goals[verb], actor, about: factsOf(cluster) }, [
            cluster,
          ]);
    });
    if (!operation) continue;
    look(name);
    return operation;
  }
}

export function changesFor(verb: ClusterVerb, cluster: StoredCluster, nowMs: number): Partial<StoredCluster> {
  const generation = cluster.generation + 1;
  const afresh = { repairs: 0, repairAfterMs: 0, failures: 0, successes: 0 };
  switch (verb) {
    case 'start':
      return cluster.desired === 'running' ? {} : { ...afresh, generation, desired: 'running', sinceMs: nowMs };
    case 'stop':
      return cluster.desired === 'stopped' ? {} : { generation, desired: 'stopped' };
    case 'restart':
      return { ...afresh, generation, desired: 'running', restarts: cluster.restarts + 1, sinceMs: nowMs };
    case 'delete':
      return cluster.desired === 'absent' ? {} : { generation, desired: 'absent', deletedMs: nowMs };
    case 'reset': {
      const anew = { isRecycling: true, state: 'recycling', health: 'unknown', work: undefined } as const;
      return { ...afresh, ...anew, generation, desired: 'running' };
    }
  }
}
