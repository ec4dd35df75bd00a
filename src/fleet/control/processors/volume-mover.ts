import type { Database, Transaction } from '#kernel/database/database.ts';
import { Code, Fault } from '#kernel/fault.ts';
import type { Log } from '#kernel/log.ts';
import type { Driver } from '../../driver/driver.ts';
import { type FleetEvent, factsOf } from '../logic/events.ts';
import type { VolumeWork } from '../logic/model.ts';
import { operationEvent } from '../logic/operations.ts';
import type { SnapshotFiles } from '../logic/snapshot-files.ts';
import { failedSnapshot, type VolumeMover, withoutWork } from '../logic/volume-work.ts';
import type { StoredSnapshot, VolumePlace } from '../store/snapshot-store.ts';
import type { FleetStore, StoredCluster, StoredOperation } from '../store/store.ts';

export interface MoverParts {
  readonly database: Database;
  readonly store: FleetStore;
  readonly driverOf: (host: string) => Promise<Driver>;
  readonly files: SnapshotFiles;
  /** As of `ReconcileParts`. */
  readonly commit: (tx: Transaction, events: readonly FleetEvent[]) => Promise<void>;
  readonly look: (cluster: string) => void;
  readonly sizeBytesMax: () => number;
  readonly now: () => number;
  readonly log: Log;
}

/** Tries in a row of one piece of work, when the engine cannot be reached. */
const triesMax = 5;
const mebibyte = 1024 * 1024;
const isPassing = ({ code, isRetryable }: Fault): boolean =>
  isRetryable || code === Code.DeadlineExceeded || code === Code.Aborted;
const conflict = new Error('The cluster was changed meanwhile');

/**
 * What is to be done stands in the cluster's row (`work`) until it is done, so that whoever comes after a kill begins it anew: both ways may be
 * repeated. The row, the snapshot and the operation end in one transaction.
 */
export function createVolumeMover(parts: MoverParts): VolumeMover {
  const { database, store, files, now, log } = parts;
  const active = new Map<string, { readonly cut: AbortController; readonly moving: Promise<void> }>();
  const tries = new Map<string, number>();

  async function move(cluster: StoredCluster, work: VolumeWork, signal: AbortSignal): Promise<void> {
    const { name } = cluster;
    try {
      const snapshot = await store.snapshotOf(work.snapshot);
      if (!snapshot) throw new Fault(Code.NotFound, 'The snapshot is not there any more', { reason: 'snapshot_missing' });
      if (work.kind === 'save') {
        const sizeBytes = await save(cluster, work, snapshot, signal);
        await end(name, work, { snapshot: { ...snapshot, state: 'ready', sizeBytes } });
      } else if (await load(cluster, work, snapshot, signal)) await end(name, work, { snapshot });
    } catch (error) {
      if (signal.aborted) return;
      const fault = Fault.from(error);
      const tried = (tries.get(work.operation) ?? 0) + 1;
      tries.set(work.operation, tried);
      log.warn('volumes could not be copied', { cluster: name, kind: work.kind, tried, error });
      // The next look begins it anew.
      if (isPassing(fault) && tried < triesMax) return;
      const snapshot = await store.snapshotOf(work.snapshot);
      await end(name, work, { fault, ...(snapshot ? { snapshot } : {}) });
    }
    tries.delete(work.operation);
    parts.look(name);
  }

  async function save(
    { name: cluster, host, incarnation }: StoredCluster,
    work: VolumeWork,
    snapshot: StoredSnapshot,
    signal: AbortSignal,
  ): Promise<number> {
    const driver = await parts.driverOf(host);
    const read = ({ member, volume }: VolumePlace) => driver.saveVolume({ cluster, incarnation }, member, volume, signal);
    const onBytes = ({ member, volume }: VolumePlace, sizeBytes: number) =>
      tell(work, `Reads ${volume} of ${member}: ${Math.ceil(sizeBytes / mebibyte)} MiB`);
    return await files.save(snapshot, read, { sizeBytesMax: parts.sizeBytesMax(), onBytes, signal });
  }

  /** Nothing is changed before all files are known to be whole. Result: false when the cluster has to be built anew before. */
  async function load(cluster: StoredCluster, work: VolumeWork, snapshot: StoredSnapshot, signal: AbortSignal): Promise<boolean> {
    const { name, host, incarnation } = cluster;
    const volumes = await files.check(snapshot, signal);
    if (work.keys === 'wanted') {
      await renew(cluster, work, snapshot);
      return false;
    }
    const driver = await parts.driverOf(host);
    for (const [at, file] of volumes.entries()) {
      const { member, volume } = file;
      await tell(work, `Writes ${volume} of ${member}, ${at + 1} of ${volumes.length}`);
      await driver.loadVolume({ cluster: name, incarnation }, member, volume, files.read(snapshot, file, signal), signal);
    }
    return true;
  }

  /** The next incarnation gets the keys of the snapshot; once it is ready, its volumes are loaded. */
  async function renew(cluster: StoredCluster, work: VolumeWork, { secrets }: StoredSnapshot): Promise<void> {
    await tell(work, 'The cluster is built anew with the keys of the snapshot');
    const anew = { isRecycling: true, state: 'recycling', health: 'unknown', secrets } as const;
    await database.transaction(async (tx) => {
      await parts.commit(tx, []);
      const changes = { ...anew, work: { ...work, keys: 'there' } } as const;
      if ((await store.updateCluster(tx, cluster.name, cluster.version, changes)) === 'conflict')
        throw new Fault(Code.Aborted, 'The cluster was changed meanwhile', { reason: 'version_differs' });
    });
  }

  async function tell({ operation: id }: VolumeWork, message: string): Promise<void> {
    const operation = await store.operation(id);
    if (operation) await database.transaction((tx) => store.updateOperation(tx, { ...operation, message }));
  }

  /** Members are started again by the next look, also after a failure. */
  async function end(name: string, work: VolumeWork, { snapshot, fault }: Outcome): Promise<void> {
    for (;;) {
      const cluster = await store.cluster(name);
      // Somebody has cancelled it, or built the cluster anew.
      if (cluster?.work?.operation !== work.operation) return;
      const operation = await store.operation(work.operation);
      try {
        await database.transaction(async (tx) => {
          await parts.commit(tx, [eventOf(cluster, work, snapshot, fault)]);
          const changed = await store.updateCluster(tx, name, cluster.version, withoutWork(cluster, now()));
          if (changed === 'conflict') throw conflict;
          if (snapshot && work.kind === 'save')
            await store.updateSnapshot(tx, fault ? failedSnapshot(snapshot, fault) : snapshot);
          if (operation) await endOperation(tx, operation, cluster, fault);
        });
        return;
      } catch (error) {
        if (error !== conflict) throw error;
      }
    }
  }

  /** One that went well is over when the cluster is again as it was wanted. */
  async function endOperation(
    tx: Transaction,
    operation: StoredOperation,
    { desired }: StoredCluster,
    fault: Fault | undefined,
  ): Promise<void> {
    const goal = desired === 'stopped' ? 'stopped' : 'ready';
    const ended: StoredOperation = fault
      ? { ...operation, state: 'failed', failed: 1, reason: fault.reason, message: fault.message, endedMs: now() }
      : { ...operation, goal, message: 'Its members are started again' };
    if ((await store.updateOperation(tx, ended)) && fault)
      await parts.commit(tx, [operationEvent(ended, 'OperationFailed', `has failed: ${fault.message}`)]);
  }

  return {
    begin(cluster, signal) {
      const { name, work } = cluster;
      if (!work || active.has(name)) return;
      const cut = new AbortController();
      const moving = move(cluster, work, AbortSignal.any([signal, cut.signal]))
        .catch((error: unknown) => log.warn('the end of a copy could not be noted; it is begun anew', { cluster: name, error }))
        .finally(() => active.delete(name));
      active.set(name, { cut, moving });
    },
    leave: (name) => active.get(name)?.cut.abort(),
    settled: async () => void (await Promise.all([...active.values()].map(({ moving }) => moving))),
  };
}

interface Outcome {
  readonly snapshot?: StoredSnapshot;
  readonly fault?: Fault;
}

function eventOf(
  cluster: StoredCluster,
  { kind }: VolumeWork,
  snapshot: StoredSnapshot | undefined,
  fault: Fault | undefined,
): FleetEvent {
  const { name } = cluster;
  const from = snapshot && snapshot.cluster !== name ? ` of cluster ${snapshot.cluster}` : '';
  const which = snapshot ? `${snapshot.name}${from}` : 'that is gone';
  const [reason, done, failed] =
    kind === 'save'
      ? [fault ? 'SnapshotFailed' : 'SnapshotReady', `has snapshot ${which}`, `could not be saved as snapshot ${which}`]
      : [
          fault ? 'RestoreFailed' : 'SnapshotRestored',
          `holds what snapshot ${which} held`,
          `could not get back snapshot ${which}`,
        ];
  return {
    ...{
      kind: 'cluster',
      name,
      cluster: name,
      ...factsOf(cluster),
      actor: 'watchdog',
      reason,
      severity: fault ? 'error' : 'info',
    },
    message: `Cluster ${name} ${fault ? `${failed}: ${fault.message}` : done}`,
  };
}
