import type { Transaction } from '#kernel/database/database.ts';
import { failedPrecondition, notFound } from '#kernel/fault.ts';
import type { StoredCluster, StoredHost, StoredOperation } from '../store/store.ts';
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
  const { store, now } = parts;
  for (const operation of await store.runningOperations(runningMax)) {
    const clusters = new Map<string, StoredCluster>();
    for (const { cluster } of operation.targets) {
      const found = await store.cluster(cluster);
      if (found) clusters.set(cluster, found);
    }
    const judged = judgeOperation(operation, clusters, now());
    if (!judged) continue;
    const says = judged.state === 'done' ? 'is done' : `has failed: ${judged.message}`;
    const reason = judged.state === 'done' ? 'OperationDone' : 'OperationFailed';
    await note(parts, judged, judged.state === 'running' ? [] : [operationEvent(judged, reason, says)]);
  }
}

/** Errors: `not_found`; `failed_precondition` with reason `operation_ended`. */
export async function cancelOperation(parts: ControlParts, id: string, actor: string): Promise<StoredOperation> {
  const { store, now } = parts;
  const operation = await store.operation(id);
  if (!operation) throw notFound(`There is no operation "${id}"`, { reason: 'operation_missing' });
  const cancelled: StoredOperation = { ...operation, state: 'cancelled', endedMs: now(), message: `${actor} has cancelled it` };
  const isCancelled = await note(parts, cancelled, [operationEvent(cancelled, 'OperationCancelled', 'was cancelled')]);
  if (!isCancelled) throw failedPrecondition(`Cannot cancel operation "${id}": it has ended`, { reason: 'operation_ended' });
  if (operation.goal === 'ready') await dropUnready(parts, operation);
  await dropWork(parts, operation);
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

/**
 * Notes how far an operation is; one that ends gives back to its host what it has switched off, at once, or the host would stay closed when
 * the platform is killed in between. Says whether it was still running.
 */
async function note(
  { database, store, append }: ControlParts,
  operation: StoredOperation,
  events: readonly FleetEvent[],
): Promise<boolean> {
  const { id, kind, name, state } = operation;
  const isRestoring = kind === 'host' && operation.restores !== undefined && state !== 'running';
  for (;;) {
    const host = isRestoring ? await store.host(name) : undefined;
    // After the host: whoever changes what it gets back meanwhile changes the host as well.
    const { restores } = (host && (await store.operation(id))) ?? operation;
    const noted = await database
      .transaction(async (tx) => {
        if (!(await store.updateOperation(tx, operation))) return false;
        if (host && (await store.updateHost(tx, restored(host, restores), host.version)) === 'conflict') throw retry;
        await append(tx, events);
        return true;
      })
      .catch((error: unknown) => {
        if (error === retry) return undefined;
        throw error;
      });
    if (noted !== undefined) return noted;
  }
}

const restored = (host: StoredHost, restores: StoredOperation['restores']): StoredHost => {
  const state = host.state === 'resetting' || host.state === 'draining' ? 'active' : host.state;
  return { ...host, spec: { ...host.spec, ...restores }, state };
};

const retry = new Error('The host was changed meanwhile');

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
