import type { Fault } from '#kernel/fault.ts';
import type { StoredSnapshot } from '../store/snapshot-store.ts';
import type { StoredCluster } from '../store/store.ts';
import type { VolumeWork } from './model.ts';

/** Copies volumes of clusters whose members have stopped, beside the watchdog, since it may take long. */
export interface VolumeMover {
  /** Begins what is to be done to a cluster, unless it goes on already. */
  begin(cluster: StoredCluster, signal: AbortSignal): void;
  /** It is not wanted any more. */
  leave(cluster: string): void;
  /** Resolves when nothing is under way. */
  settled(): Promise<void>;
}

/** What is still to be done with the volumes of a cluster when its next incarnation begins; not when it is somebody else's by now. */
export const workAfterRenewal = ({ work, claim }: StoredCluster): VolumeWork | undefined =>
  work?.keys === 'there' && work.claim === claim ? work : undefined;

/** What of a cluster changes when its volumes are left alone again: its members are wanted as before. */
export const withoutWork = ({ generation }: StoredCluster, nowMs: number): Partial<StoredCluster> => ({
  ...{ work: undefined, generation: generation + 1, sinceMs: nowMs },
  ...{ failures: 0, successes: 0, repairs: 0, repairAfterMs: 0 },
});

/** A snapshot that was not taken, and why. */
export const failedSnapshot = (snapshot: StoredSnapshot, { reason, message, hint }: Fault): StoredSnapshot => ({
  ...{ ...snapshot, state: 'failed', sizeBytes: 0, reason },
  message: hint ? `${message}. ${hint}` : message,
});
