import type { Database, Transaction } from '#kernel/database/database.ts';
import { Code, Fault } from '#kernel/fault.ts';
import type { FleetStore } from '../store/store.ts';
import type { FleetEvent } from './events.ts';
import { operationEvent } from './operations.ts';
import type { SnapshotFiles } from './snapshot-files.ts';
import { failedSnapshot } from './volume-work.ts';

export interface TidyParts {
  readonly database: Database;
  readonly store: FleetStore;
  readonly files: SnapshotFiles;
  /** As of `ReconcileParts`. */
  readonly commit: (tx: Transaction, events: readonly FleetEvent[]) => Promise<void>;
  readonly now: () => number;
}

const sizeMax = 1000;

/**
 * Ends what nobody works on any more: files of snapshots that are to go, snapshots and operations whose cluster was built anew, or left them for
 * another reason.
 */
export async function tidySnapshots({ database, store, files, commit, now }: TidyParts): Promise<void> {
  for (const doomed of await store.doomedSnapshots(sizeMax)) {
    await files.remove(doomed);
    await database.transaction(async (tx) => {
      await commit(tx, []);
      await store.removeSnapshot(tx, doomed.id);
    });
  }
  const cutOff = new Fault(Code.Aborted, 'It was cut off: the cluster was changed meanwhile', { reason: 'cut_off' });
  for (const { id, cluster } of await store.unfinishedSnapshots(sizeMax)) {
    if ((await store.cluster(cluster))?.work?.snapshot === id) continue;
    // Read after the cluster: one that has ended well has ended with it.
    const snapshot = await store.snapshotOf(id);
    if (snapshot?.state !== 'creating') continue;
    await files.remove(snapshot);
    await database.transaction(async (tx) => {
      await commit(tx, []);
      await store.updateSnapshot(tx, failedSnapshot(snapshot, cutOff));
    });
  }
  for (const { id, goal, name } of await store.runningOperations(sizeMax)) {
    if (goal !== 'saved' && goal !== 'loaded') continue;
    if ((await store.cluster(name))?.work?.operation === id) continue;
    const operation = await store.operation(id);
    if (operation?.state !== 'running' || operation.goal !== goal) continue;
    const failed = {
      ...operation,
      state: 'failed',
      failed: 1,
      reason: 'cut_off',
      message: cutOff.message,
      endedMs: now(),
    } as const;
    await database.transaction(async (tx) => {
      if (await store.updateOperation(tx, failed))
        await commit(tx, [operationEvent(failed, 'OperationFailed', `has failed: ${cutOff.message}`)]);
    });
  }
}
