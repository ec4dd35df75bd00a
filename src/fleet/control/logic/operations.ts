import type { Transaction } from '#kernel/database/database.ts';
import { failedPrecondition, notFound } from '#kernel/fault.ts';
import type { StoredCluster, StoredOperation } from '../store/store.ts';
import type { ControlParts } from './control-parts.ts';
import type { FleetEvent } from './events.ts';
import { judgeOperation } from './judge-operation.ts';
import { withoutWork } from './volume-work.ts';

const runningMax = 1000;

export type NewOperation = Pick<StoredOperation, 'verb' | 'kind' | 'name' | 'goal' | 'actor'> &
  Partial<Pick<StoredOperation, 'deadlineMs' | 'restores' | 'about'>>;

/** Notes that work has begun, in the transaction that begins it. One without targets is done at once. */
export async function beginOperation(
  { store, append, now, newId }: ControlParts,
  tx: Transaction,
  wanted: NewOperation,
  targets: readonly Pick<StoredCluster, 'name' | 'incarnation' | 'restarts'>[],
): Promise<StoredOperation> {
  const operation: StoredOperation = {
    ...{
      deadlineMs: 0,
      ...wanted,
      id: newId(),
      createdMs: now(),
      endedMs: 0,
      done: 0,
      failed: 0,
      message: '',
      reason: '',
      state: 'running',
    },
    targets: targets.map(({ name, incarnation, restarts }) => ({ cluster: name, incarnation, restarts })),
  };
  await store.addOperation(tx, operation);
  await append(tx, [operationEvent(operation, 'OperationBegun', 'has begun')]);
  return operation;
}

/** Looks how far the running operations are, and ends those that are there. */
export async function judgeOperations(parts: ControlParts): Promise<void> {
  const { database, store, append, now } = parts;
  for (const operation of await store.runningOperations(runningMax)) {
    const clusters = new Map<string, StoredCluster>();
    for (const { cluster } of operation.targets) {
      const found = await store.cluster(cluster);
      if (found) clusters.set(cluster, found);
    }
    const judged = judgeOperation(operation, clusters, now());
    if (!judged) continue;
    await database.transaction(async (tx) => {
      if (!(await store.updateOperation(tx, judged)) || judged.state === 'running') return;
      const says = judged.state === 'done' ? 'is done' : `has failed: ${judged.message}`;
      await append(tx, [operationEvent(judged, judged.state === 'done' ? 'OperationDone' : 'OperationFailed', says)]);
    });
    if (judged.state !== 'running') await restoreHost(parts, judged);
  }
}

/** Errors: `not_found`; `failed_precondition` with reason `operation_ended`. */
export async function cancelOperation(parts: ControlParts, id: string, actor: string): Promise<StoredOperation> {
  const { database, store, append, now } = parts;
  const operation = await store.operation(id);
  if (!operation) throw notFound(`There is no operation "${id}"`, { reason: 'operation_missing' });
  const cancelled: StoredOperation = { ...operation, state: 'cancelled', endedMs: now(), message: `${actor} has cancelled it` };
  const isCancelled = await database.transaction(async (tx) => {
    const was = await store.updateOperation(tx, cancelled);
    if (was) await append(tx, [operationEvent(cancelled, 'OperationCancelled', 'was cancelled')]);
    return was;
  });
  if (!isCancelled) throw failedPrecondition(`Cannot cancel operation "${id}": it has ended`, { reason: 'operation_ended' });
  if (operation.goal === 'ready') await dropUnready(parts, operation);
  await dropWork(parts, operation);
  await restoreHost(parts, operation);
  return cancelled;
}

/** Clusters that a cancelled operation was still building. */
async function dropUnready({ database, store, look }: ControlParts, { verb, targets }: StoredOperation): Promise<void> {
  if (verb !== 'fillup' && verb !== 'create') return;
  for (const { cluster: name } of targets) {
    const cluster = await store.cluster(name);
    if (!cluster || cluster.readyMs !== undefined || cluster.claim !== '') continue;
    await database.transaction((tx) => store.updateCluster(tx, name, cluster.version, { desired: 'absent' }));
    look(name);
  }
}

/** The members of a cluster that stopped for a snapshot are started again. */
async function dropWork({ database, store, look, now }: ControlParts, { id, kind, name }: StoredOperation): Promise<void> {
  if (kind !== 'cluster') return;
  for (let cluster = await store.cluster(name); cluster?.work?.operation === id; cluster = await store.cluster(name)) {
    const { version } = cluster;
    const changes = withoutWork(cluster, now());
    if ((await database.transaction((tx) => store.updateCluster(tx, name, version, changes))) !== 'conflict') look(name);
  }
}

/** Gives back to a host what an operation has switched off for its time. */
async function restoreHost({ database, store }: ControlParts, { kind, name, restores }: StoredOperation): Promise<void> {
  if (kind !== 'host' || !restores) return;
  for (let host = await store.host(name); host; host = await store.host(name)) {
    const spec = { ...host.spec, ...restores };
    const state = host.state === 'resetting' || host.state === 'draining' ? 'active' : host.state;
    const restored = { ...host, spec, state } as const;
    const { version } = host;
    if ((await database.transaction((tx) => store.updateHost(tx, restored, version))) !== 'conflict') return;
  }
}

export function operationEvent(
  { id, verb, kind, name, actor, state, about: facts }: StoredOperation,
  reason: string,
  says: string,
): FleetEvent {
  const about = kind === 'host' ? { host: name } : { cluster: name, ...facts };
  return {
    kind: 'operation',
    name: id,
    reason,
    message: `${verb} of ${kind} ${name} ${says}`,
    actor,
    severity: state === 'failed' ? 'error' : 'info',
    ...about,
  };
}
