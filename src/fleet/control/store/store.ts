import type { Transaction } from '#kernel/database/database.ts';
import type { AgentType, Labels, PortWish, ReservedPort } from '../../common/words.ts';
import type { ClusterRecord, Condition } from '../logic/model.ts';
import type { SnapshotVerbs } from './snapshot-store.ts';

export type HostState = 'active' | 'unreachable' | 'draining' | 'resetting' | 'deleting';

export interface ClusterTemplate {
  readonly blueprint: string;
  readonly parameters: Labels;
}

/** What people want of a host. */
export interface HostSpec {
  readonly type: AgentType;
  readonly address: string;
  readonly credentials: string;
  readonly capacity: number;
  /** 0: no limit. */
  readonly capacityWeight: number;
  readonly autofill: boolean;
  readonly warmMin: number;
  readonly templates: readonly ClusterTemplate[];
  readonly cordoned: boolean;
  readonly labels: Labels;
  readonly portFirst: number;
  readonly portLast: number;
  /** Its agent runs beside it and dials in. */
  readonly remoteAgent?: boolean;
}

export interface StoredHost {
  readonly name: string;
  readonly spec: HostSpec;
  readonly state: HostState;
  readonly conditions: readonly Condition[];
  /** Of the engine, the same for two ways to it. */
  readonly identity: string;
  /** Of the engine, for people. */
  readonly engine: string;
  readonly generation: number;
  readonly observedGeneration: number;
  readonly version: number;
  readonly seenMs: number;
  readonly createdMs: number;
  /** 0: it stays. */
  readonly deletedMs: number;
  /** Probes in a row that failed. */
  readonly failures: number;
}

export interface HostUse {
  readonly clusters: number;
  readonly free: number;
  readonly used: number;
  readonly weight: number;
}

/** A cluster's row: what the reconciler keeps, and what it is made of. */
export interface StoredCluster extends ClusterRecord {
  readonly blueprint: string;
  /** Of the blueprint's text it was made from. */
  readonly digest: string;
  readonly parameters: Labels;
  readonly labels: Labels;
  /** Of this incarnation. */
  readonly secrets: Labels;
  readonly weight: number;
  /** User id; empty: free. */
  readonly owner: string;
  readonly generation: number;
  readonly observedGeneration: number;
  readonly version: number;
  readonly createdMs: number;
  readonly deletedMs: number;
  /** Ports on the host by member and name. */
  readonly ports: readonly ReservedPort[];
}

/** Where a cluster is and what it is of. */
export type ClusterFacts = Pick<StoredCluster, 'host' | 'blueprint' | 'labels'> & Partial<Pick<StoredCluster, 'owner'>>;

export interface NewCluster {
  readonly name: string;
  readonly host: string;
  readonly blueprint: string;
  readonly digest: string;
  readonly parameters: Labels;
  readonly labels: Labels;
  readonly secrets: Labels;
  readonly weight: number;
  readonly members: ClusterRecord['members'];
  readonly ports: readonly PortWish[];
  readonly nowMs: number;
  /** Ports that were found taken by others on the host. */
  readonly avoidPorts: readonly number[];
}

export type ClaimState = 'waiting' | 'bound' | 'ended';
export type EndReason = 'released' | 'expired' | 'operator' | 'cluster_lost' | 'gave_up';

export interface ClaimWish {
  readonly blueprint: string;
  readonly parameters: Labels;
  readonly selectors: readonly { readonly host: string; readonly labels: Labels }[];
}

export interface StoredClaim {
  readonly id: string;
  readonly state: ClaimState;
  readonly user: string;
  readonly userName: string;
  readonly wish: ClaimWish;
  readonly labels: Labels;
  /** Empty while it waits. */
  readonly cluster: string;
  readonly ttlMs: number;
  readonly appliedMs: number;
  /** 0: not yet. */
  readonly boundMs: number;
  readonly expireMs: number;
  readonly expireMsMax: number;
  readonly endedMs: number;
  readonly endReason: EndReason | '';
  /** Of the cluster that was given. */
  readonly given?: ClusterFacts;
}

export interface ClusterFilter {
  readonly host?: string;
  readonly blueprint?: string;
  readonly state?: ClusterRecord['state'];
  readonly health?: ClusterRecord['health'];
  readonly isUsed?: boolean;
  readonly owner?: string;
  readonly labels?: Labels;
}

/** What an operation waits for, of each of its clusters. */
export type Goal = 'ready' | 'stopped' | 'restarted' | 'renewed' | 'gone' | 'unused' | 'saved' | 'loaded';
export type OperationState = 'running' | 'done' | 'failed' | 'cancelled';

export interface OperationTarget {
  readonly cluster: string;
  /** When the operation began: of which incarnation and restart it was then. */
  readonly incarnation: number;
  readonly restarts: number;
}

/** Work that takes a while. It is done when all its clusters have reached the goal, whoever brought them there. */
export interface StoredOperation {
  readonly id: string;
  /** Such as `fillup`. */
  readonly verb: string;
  readonly kind: 'host' | 'cluster';
  readonly name: string;
  readonly goal: Goal;
  readonly targets: readonly OperationTarget[];
  readonly state: OperationState;
  readonly done: number;
  readonly failed: number;
  readonly message: string;
  readonly reason: string;
  readonly actor: string;
  readonly createdMs: number;
  /** 0: it goes on. */
  readonly endedMs: number;
  /** 0: none. */
  readonly deadlineMs: number;
  /** Of the host, to be as before when it ends: what the operation has switched off. */
  readonly restores?: { readonly autofill?: boolean; readonly cordoned?: boolean };
  /** Of the cluster it is about, when it is about one. */
  readonly about?: ClusterFacts;
}

export interface OperationFilter {
  readonly kind?: string;
  readonly name?: string;
  readonly state?: OperationState;
}

/** A row changed meanwhile: read it again and decide anew. */
export type Conflict = 'conflict';

/**
 * All that the fleet plane keeps. Verbs with a transaction join the caller's, so that a change and its events commit together. Updates name the
 * version they were decided on.
 *
 * It holds: clusters of a host <= its capacity, one claim per cluster and one cluster per claim, a port of a host once.
 * Errors: those of the database.
 */
export interface FleetStore extends SnapshotVerbs {
  /** What marks things as this fleet's; made once. */
  fleetId(newId: string): Promise<string>;
  /** Errors: `already_exists` with reason `host_exists`, or `engine_taken` naming the host that has the engine. */
  addHost(tx: Transaction, host: StoredHost): Promise<void>;
  host(name: string): Promise<(StoredHost & HostUse) | undefined>;
  /** The same without counting what is on it. */
  hostRecord(name: string): Promise<StoredHost | undefined>;
  /** By name. */
  hosts(after: string, limit: number): Promise<readonly (StoredHost & HostUse)[]>;
  /** Errors: `failed_precondition` with reason `capacity_below_use`. */
  updateHost(tx: Transaction, host: StoredHost, version: number): Promise<StoredHost | Conflict>;
  /** Errors: `failed_precondition` with reason `host_used` while a cluster is there. */
  removeHost(tx: Transaction, name: string): Promise<void>;

  /**
   * Takes a place on the host and its ports, and makes the row. Errors: `resource_exhausted` with reason `host_full` or `ports_used_up`;
   * `already_exists` with reason `cluster_exists`; `not_found`; `failed_precondition` with reason `host_closed` (cordoned, draining, going).
   */
  addCluster(tx: Transaction, cluster: NewCluster): Promise<StoredCluster>;
  cluster(name: string): Promise<StoredCluster | undefined>;
  clusters(filter: ClusterFilter, after: string, limit: number): Promise<readonly StoredCluster[]>;
  /** How many of a host are free, or on their way to it; not those that are to stand still or to go. */
  comingOn(host: string): Promise<number>;
  /** All on a host, as the transaction sees them. */
  clustersOn(tx: Transaction, host: string): Promise<readonly StoredCluster[]>;
  updateCluster(
    tx: Transaction,
    name: string,
    version: number,
    changes: Partial<StoredCluster>,
  ): Promise<StoredCluster | Conflict>;
  /** Frees its place and ports. */
  removeCluster(tx: Transaction, name: string, version: number): Promise<'done' | Conflict>;
  /** Names of all, for a look at everything. */
  clusterNames(): Promise<readonly string[]>;

  addClaim(tx: Transaction, claim: StoredClaim, quota: number): Promise<void>;
  claim(id: string): Promise<StoredClaim | undefined>;
  claims(
    filter: { readonly user?: string; readonly cluster?: string; readonly withEnded?: boolean },
    after: { readonly appliedMs: number; readonly id: string } | undefined,
    limit: number,
  ): Promise<readonly StoredClaim[]>;
  /** A bound claim of the user whose cluster fits the wish. */
  ownMatch(tx: Transaction, user: string, wish: ClaimWish): Promise<StoredClaim | undefined>;
  /**
   * Gives a free, ready cluster that fits to a waiting claim: one conditional update. The first selector that any cluster fits counts; among
   * those that fit the one that was ready first. What fits a wish of `before` is left for it. Undefined: there is none now.
   */
  bind(tx: Transaction, claim: StoredClaim, nowMs: number, before?: readonly ClaimWish[]): Promise<StoredClaim | undefined>;
  /** Ends a claim once; its cluster is to be built anew. Undefined: it has ended already. */
  endClaim(tx: Transaction, id: string, reason: EndReason, nowMs: number): Promise<StoredClaim | undefined>;
  renewClaim(tx: Transaction, id: string, expireMs: number): Promise<StoredClaim | undefined>;
  /** Waiting ones in the order they came, bound ones whose lease is over first. */
  waiting(limit: number): Promise<readonly StoredClaim[]>;
  expired(nowMs: number, limit: number): Promise<readonly StoredClaim[]>;

  addOperation(tx: Transaction, operation: StoredOperation): Promise<void>;
  operation(id: string): Promise<StoredOperation | undefined>;
  /** Newest first. */
  operations(
    filter: OperationFilter,
    after: { readonly createdMs: number; readonly id: string } | undefined,
    limit: number,
  ): Promise<readonly StoredOperation[]>;
  /** Only while it runs; says whether it did. */
  updateOperation(tx: Transaction, operation: StoredOperation): Promise<boolean>;
  /** What its host gets back, when it has any; `updateOperation` leaves that as it is. */
  restoreInstead(tx: Transaction, id: string, restores: NonNullable<StoredOperation['restores']>): Promise<void>;
  runningOperations(limit: number): Promise<readonly StoredOperation[]>;

  /** Texts stay as long as anything was made from them. */
  putBlueprint(tx: Transaction, name: string, digest: string, text: string): Promise<void>;
  blueprintText(digest: string): Promise<string | undefined>;
  blueprints(): Promise<readonly { readonly name: string; readonly digest: string; readonly text: string }[]>;
  removeBlueprint(tx: Transaction, name: string): Promise<boolean>;
}
