import { isDeepStrictEqual } from 'node:util';
import type { Transaction } from '#kernel/database/database.ts';
import { aborted, Code, exhausted, Fault, failedPrecondition, permissionDenied } from '#kernel/fault.ts';
import type { Blueprint } from '../../blueprints/logic/blueprint.ts';
import type { MembersPlan } from '../../blueprints/logic/plan-members.ts';
import type { AgentType } from '../../common/words.ts';
import type { StoredSnapshot, VolumePlace } from '../store/snapshot-store.ts';
import type { StoredCluster, StoredOperation } from '../store/store.ts';
import type { ControlParts } from './control-parts.ts';
import { factsOf } from './events.ts';
import type { VolumeWork } from './model.ts';
import { beginOperation } from './operations.ts';
import type { SnapshotFiles } from './snapshot-files.ts';

export interface SnapshotLimits {
  /** Of one cluster. */
  readonly countMax: number;
  /** Of all that are kept, on disk. */
  readonly totalBytesMax: number;
}

export interface SnapshotParts extends ControlParts {
  readonly planOf: (cluster: StoredCluster) => Promise<MembersPlan>;
  readonly blueprintOf: (digest: string) => Promise<Blueprint>;
  readonly files: SnapshotFiles;
  readonly snapshotLimits: () => SnapshotLimits;
}

const probeMs = 10_000;
const operationsMax = 1000;

/**
 * Has the watchdog stop a cluster's members, copy their volumes, and start them again.
 * Errors: `failed_precondition` with reasons `cluster_not_ready`, `cluster_busy`, `cluster_going`, `volumes_none`; `unimplemented` with reason
 * `snapshot_unsupported`; `resource_exhausted` with reasons `snapshots_max`, `snapshots_full`; `already_exists`; `aborted` with reason
 * `version_differs`; those of the host's engine.
 */
export async function takeSnapshot(
  parts: SnapshotParts,
  cluster: StoredCluster,
  wanted: string,
  actor: string,
): Promise<StoredOperation> {
  const { store, now, newId } = parts;
  const { name, claim, blueprint, digest, parameters, incarnation, ports } = cluster;
  assertIdle(cluster, 'take a snapshot of');
  const volumes = await volumesOf(parts, cluster);
  if (volumes.length === 0)
    throw failedPrecondition(`Cluster "${name}" has no volumes, so there is nothing to save`, { reason: 'volumes_none' });
  const { totalBytesMax, countMax } = parts.snapshotLimits();
  if ((await store.snapshotBytes()) >= totalBytesMax) {
    throw exhausted('All snapshots together take as much space as they may', {
      reason: 'snapshots_full',
      hint: 'Delete some first, or raise the setting fleet.snapshotsSizeMaxMib.',
    });
  }
  const { abilities, version } = await (await parts.driverOf(cluster.host)).probe(AbortSignal.timeout(probeMs));
  if (!abilities.includes('snapshot')) {
    throw new Fault(Code.Unimplemented, `Volumes on host "${cluster.host}" (${version}) cannot be copied`, {
      reason: 'snapshot_unsupported',
      hint: 'Save what matters with the means of the chain itself.',
    });
  }
  const snapshot: StoredSnapshot = {
    ...{ id: newId(), cluster: name, name: wanted || nameNow(now(), parts.newSecret(2)), claim, state: 'creating' },
    ...{ reason: '', message: '', blueprint, digest, parameters, incarnation, ports, volumes, sizeBytes: 0, actor },
    ...{ secrets: cluster.secrets, createdMs: now() },
  };
  return await begin(parts, cluster, { kind: 'save', snapshot: snapshot.id }, actor, (tx) =>
    store.addSnapshot(tx, snapshot, countMax),
  );
}

/** Errors: `failed_precondition` with reason `snapshot_not_ready`. */
export function assertReady({ name, state }: StoredSnapshot, verb: 'restored' | 'downloaded'): void {
  if (state === 'ready') return;
  throw failedPrecondition(`Snapshot "${name}" cannot be ${verb}: it is not whole`, { reason: 'snapshot_not_ready' });
}

/**
 * Has the watchdog stop a cluster's members, put back what their volumes held, and start them again; one that has other keys by now, since it was
 * reset, or is another one (`cluster` is not `from`), is built anew with those of the snapshot first.
 * Errors: as above, and `failed_precondition` with reasons `snapshot_not_ready`, `snapshot_unfit`; `permission_denied` with reason
 * `snapshot_foreign`.
 */
export async function restoreSnapshot(
  parts: SnapshotParts,
  cluster: StoredCluster,
  snapshot: StoredSnapshot,
  from: StoredCluster,
  actor: string,
): Promise<StoredOperation> {
  const isOther = cluster.name !== from.name;
  assertIdle(cluster, 'restore');
  assertReady(snapshot, 'restored');
  // Also of operators: whoever has the other cluster would have somebody's data and keys.
  if (isOther && snapshot.claim !== '' && cluster.owner !== from.owner) {
    throw permissionDenied(
      `Snapshot "${snapshot.name}" was taken for another user than the one who has cluster "${cluster.name}"`,
      {
        reason: 'snapshot_foreign',
        hint: 'Both clusters have to be claimed by the same user.',
      },
    );
  }
  const place = isOther ? await newPlaceOf(parts, cluster, from) : undefined;
  const why = whyUnfit(snapshot, cluster, await volumesOf(parts, cluster), place);
  if (why)
    throw failedPrecondition(
      `Snapshot "${snapshot.name}" of cluster "${from.name}" does not fit ${isOther ? `cluster "${cluster.name}"` : 'it any more'}: ${why}`,
      { reason: 'snapshot_unfit' },
    );
  const keys = isDeepStrictEqual(snapshot.secrets, cluster.secrets) ? {} : ({ keys: 'wanted' } as const);
  return await begin(parts, cluster, { kind: 'load', snapshot: snapshot.id, ...keys }, actor, async () => undefined);
}

/** Errors: `failed_precondition` with reason `snapshot_busy`. */
export async function deleteSnapshot(
  parts: SnapshotParts,
  cluster: StoredCluster,
  snapshot: StoredSnapshot,
  actor: string,
): Promise<void> {
  const { database, store, append, files } = parts;
  const { id, name } = snapshot;
  if (cluster.work?.snapshot === id || (await isRestoring(parts, id)))
    throw failedPrecondition(`Snapshot "${name}" cannot be deleted while it is being taken or restored`, {
      reason: 'snapshot_busy',
      hint: 'Wait for the operation, or cancel it.',
    });
  await database.transaction(async (tx) => {
    if (!(await store.updateSnapshot(tx, { ...snapshot, state: 'deleting' }))) return;
    const about = { kind: 'cluster', name: cluster.name, cluster: cluster.name, ...factsOf(cluster) } as const;
    const message = `Snapshot ${name} of cluster ${cluster.name} was deleted`;
    await append(tx, [{ ...about, reason: 'SnapshotDeleted', message, actor, severity: 'info' }]);
  });
  // What a kill leaves behind here is removed by the watchdog.
  await files.remove(snapshot);
  await database.transaction((tx) => store.removeSnapshot(tx, id));
}

/** Also into another cluster. */
async function isRestoring({ store }: SnapshotParts, id: string): Promise<boolean> {
  for (const { goal, name } of await store.runningOperations(operationsMax))
    if (goal === 'loaded' && (await store.cluster(name))?.work?.snapshot === id) return true;
  return false;
}

/** Of another cluster than the one that a snapshot was taken of. */
export interface NewPlace {
  /** Types of the hosts, before and now. */
  readonly agents: readonly [before: AgentType, now: AgentType];
  readonly isPortable: boolean;
}

async function newPlaceOf(parts: SnapshotParts, to: StoredCluster, from: StoredCluster): Promise<NewPlace> {
  const typeOf = async (host: string): Promise<AgentType> => (await parts.store.hostRecord(host))?.spec.type ?? 'process';
  const { portable: isPortable = false } = await parts.blueprintOf(to.digest);
  return { agents: [await typeOf(from.host), await typeOf(to.host)], isPortable };
}

/** Members are reached at ports of the host, so what they have written may name those; elsewhere by their names in a network of their own. */
const sharesPorts = (agent: AgentType): boolean => agent === 'process' || agent === 'simulated';

/** What of the cluster is not any more as the volumes need it. Result: one reason for people, or nothing. Pure. */
export function whyUnfit(
  snapshot: StoredSnapshot,
  cluster: StoredCluster,
  volumes: readonly VolumePlace[],
  place?: NewPlace,
): string | undefined {
  if (snapshot.digest !== cluster.digest) return 'its blueprint was another one';
  if (!isDeepStrictEqual(snapshot.parameters, cluster.parameters)) return 'its parameters were others';
  if (!isDeepStrictEqual(snapshot.volumes, volumes)) return 'its members had other volumes';
  const hasPorts = isDeepStrictEqual(snapshot.ports, cluster.ports);
  if (!place) return hasPorts ? undefined : 'its ports were others';
  if (place.isPortable) return undefined;
  const [before, now] = place.agents;
  if (before !== now) return `it was on a host of type ${before}, and this one is of type ${now}`;
  if (hasPorts || !sharesPorts(now)) return undefined;
  return 'its members know each other by ports of their host, which are others here, and would meet those of the first cluster';
}

function assertIdle({ name, desired, isRecycling, readyMs, work }: StoredCluster, verb: string): void {
  const refuse = (why: string, reason: string): never => {
    throw failedPrecondition(`Cannot ${verb} cluster "${name}": ${why}`, { reason });
  };
  if (desired === 'absent') refuse('it is being deleted', 'cluster_going');
  if (isRecycling || readyMs === undefined) refuse('it is being built', 'cluster_not_ready');
  if (work) refuse('its volumes are being copied now', 'cluster_busy');
}

async function volumesOf({ planOf }: SnapshotParts, cluster: StoredCluster): Promise<readonly VolumePlace[]> {
  const { members } = await planOf(cluster);
  return members.flatMap(({ name, volumes }) => volumes.map(({ name: volume }) => ({ member: name, volume })));
}

/** In one transaction: what is to be done to the cluster, the operation that tells of it, and what else belongs to it. */
async function begin(
  parts: SnapshotParts,
  cluster: StoredCluster,
  work: Omit<VolumeWork, 'operation' | 'claim'>,
  actor: string,
  join: (tx: Transaction) => Promise<void>,
): Promise<StoredOperation> {
  const { database, store, look } = parts;
  const { name, version, generation, claim } = cluster;
  const operation = await database.transaction(async (tx) => {
    await join(tx);
    const [verb, goal] = work.kind === 'save' ? (['snapshot', 'saved'] as const) : (['restore', 'loaded'] as const);
    const begun = await beginOperation(parts, tx, { verb, kind: 'cluster', name, goal, actor, about: factsOf(cluster) }, [
      cluster,
    ]);
    // Nobody may claim it meanwhile.
    const changes = {
      work: { ...work, claim, operation: begun.id },
      generation: generation + 1,
      state: 'stopping',
      health: 'unknown',
    } as const;
    if ((await store.updateCluster(tx, name, version, changes)) !== 'conflict') return begun;
    throw aborted(`Cluster "${name}" was changed meanwhile`, { reason: 'version_differs', hint: 'Try again.' });
  });
  look(name);
  return operation;
}

/** Such as `2026-11-21-093000-5f2c`. */
const nameNow = (nowMs: number, suffix: string): string => {
  const [date = '', time = ''] = new Date(nowMs).toISOString().split('T');
  return `${date}-${time.slice(0, 8).replaceAll(':', '')}-${suffix}`;
};
