import type { Health, MemberGoal } from '../../common/words.ts';
/** What is wanted of a cluster. */
export type Desired = 'running' | 'stopped' | 'absent';

/** Where a cluster is on its way. */
export type ClusterState = 'building' | 'ready' | 'stopping' | 'stopped' | 'recycling' | 'deleting' | 'failed';

export interface Condition {
  readonly type: 'Ready' | 'Reachable' | 'Healthy' | 'Built';
  readonly status: 'true' | 'false' | 'unknown';
  /** One word for programs. */
  readonly reason: string;
  /** One sentence for people. */
  readonly message: string;
  /** When `status` last changed. Milliseconds since 1970. */
  readonly changedMs: number;
}

/** What the reconciler keeps of a cluster between two looks at it; all of it is in the cluster's row. */
export interface ClusterRecord {
  readonly name: string;
  readonly host: string;
  readonly incarnation: number;
  readonly desired: Desired;
  /** Id of the claim; empty: free. */
  readonly claim: string;
  /** Released or reset: all of this incarnation goes, then the next one is built. */
  readonly isRecycling: boolean;
  /** Grows when a restart is asked for; `restarted` is the one that was done last. */
  readonly restarts: number;
  readonly restarted: number;
  readonly members: readonly MemberGoal[];
  readonly state: ClusterState;
  readonly health: Health;
  readonly conditions: readonly Condition[];
  /** When this incarnation began to be built, or it or members of it were started again. Milliseconds since 1970. */
  readonly sinceMs: number;
  /** When it first was ready in this incarnation. */
  readonly readyMs: number | undefined;
  /** Health checks in a row that said failed, and that said ok. */
  readonly failures: number;
  readonly successes: number;
  /** Repairs in a row that did not help. */
  readonly repairs: number;
  /** Before this no repair is tried. Milliseconds since 1970. */
  readonly repairAfterMs: number;
  /** Set: its members stay stopped until it is done. */
  readonly work?: VolumeWork | undefined;
}

/** What is to be done with the volumes of a cluster: they are saved as a snapshot, or a snapshot is loaded into them. */
export interface VolumeWork {
  readonly kind: 'save' | 'load';
  /** Ids of the snapshot, and of the operation that tells of it. */
  readonly snapshot: string;
  readonly operation: string;
  /** Whose the cluster was. */
  readonly claim: string;
  /** Of a load, when the volumes need the keys of another incarnation: the cluster is first built anew with those, or has them now. */
  readonly keys?: 'wanted' | 'there';
}

/** One member as its agent saw it. */
export interface ObservedMember {
  readonly incarnation: number;
  readonly member: string;
  readonly state: 'starting' | 'running' | 'exited' | 'unknown';
  /** Of one that has ended, when it is known. */
  readonly exitCode?: number;
  readonly message: string;
  /** Its readiness checks pass; absent: they were not asked. */
  readonly isReady?: boolean;
}

/** All that carries the cluster's label on its host. */
export interface Observation {
  readonly members: readonly ObservedMember[];
  /** Incarnations of which networks, volumes or folders are left without members. */
  readonly leftovers: readonly number[];
}

/** What is to be done to a cluster, once; each may be repeated. */
export type Action =
  /** Makes what is missing of these members. */
  | { readonly kind: 'create'; readonly members: readonly string[] }
  | { readonly kind: 'start'; readonly members: readonly string[]; readonly why: string }
  | { readonly kind: 'stop'; readonly members: readonly string[]; readonly why: string }
  /** Removes all of an incarnation. */
  | { readonly kind: 'remove'; readonly incarnation: number; readonly why: string }
  /** All members have stopped: what is to be done with the volumes is begun, or goes on. */
  | { readonly kind: 'move' }
  /** Nothing of it is left: the next incarnation begins, with the same ports, for the same user when one has it. */
  | { readonly kind: 'renew' }
  /** Nothing of it is left: the row and its ports go. */
  | { readonly kind: 'forget' };
