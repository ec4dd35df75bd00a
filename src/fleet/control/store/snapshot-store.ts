import type { Transaction } from '#kernel/database/database.ts';
import type { Labels, ReservedPort } from '../../common/words.ts';

export type SnapshotState = 'creating' | 'ready' | 'failed' | 'deleting';

/** What the volumes of a cluster held at a time. The files are kept elsewhere, by its id; this row is what says that they are wanted. */
export interface StoredSnapshot {
  readonly id: string;
  readonly cluster: string;
  readonly name: string;
  /** Under which it was taken; empty: the cluster was free. */
  readonly claim: string;
  readonly state: SnapshotState;
  readonly reason: string;
  readonly message: string;
  readonly blueprint: string;
  /** What the volumes depend on, as it was then. */
  readonly digest: string;
  readonly parameters: Labels;
  readonly incarnation: number;
  readonly ports: readonly ReservedPort[];
  /** Of its incarnation; never in the files, and never shown. */
  readonly secrets: Labels;
  readonly volumes: readonly VolumePlace[];
  /** On disk. */
  readonly sizeBytes: number;
  readonly actor: string;
  readonly createdMs: number;
}

export interface VolumePlace {
  readonly member: string;
  readonly volume: string;
}

export interface SnapshotPlace {
  readonly cluster: string;
  readonly createdMs: number;
  readonly id: string;
}

/** Part of `FleetStore`. Snapshots that are being deleted are seen by `doomedSnapshots` only. */
export interface SnapshotVerbs {
  /** Errors: `already_exists` with reason `snapshot_exists`; `resource_exhausted` with reason `snapshots_max`. */
  addSnapshot(tx: Transaction, snapshot: StoredSnapshot, countMax: number): Promise<void>;
  snapshot(cluster: string, name: string): Promise<StoredSnapshot | undefined>;
  snapshotOf(id: string): Promise<StoredSnapshot | undefined>;
  /** By cluster, the oldest first; `cluster` undefined: of all. */
  snapshots(cluster: string | undefined, after: SnapshotPlace | undefined, limit: number): Promise<readonly StoredSnapshot[]>;
  /** Only while it is not being deleted; says whether it did. */
  updateSnapshot(tx: Transaction, snapshot: StoredSnapshot): Promise<boolean>;
  /** Those that are being deleted, with those of clusters that are gone or of claims that have ended, which are from now on. */
  doomedSnapshots(limit: number): Promise<readonly StoredSnapshot[]>;
  unfinishedSnapshots(limit: number): Promise<readonly StoredSnapshot[]>;
  /** Its files are gone. */
  removeSnapshot(tx: Transaction, id: string): Promise<void>;
  /** Of all that are there, on disk. Unit: bytes. */
  snapshotBytes(): Promise<number>;
}
