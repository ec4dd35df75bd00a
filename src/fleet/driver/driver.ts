import type { Question } from '../blueprints/logic/blueprint.ts';
import type { PlannedMember } from '../blueprints/logic/plan-members.ts';
import type { AgentType, Labels } from '../common/words.ts';

/** Which engine, of which host, for whom. */
export interface EngineRef {
  readonly host: string;
  readonly type: AgentType;
  readonly address: string;
  /** Name of a folder with keys and certificates below `credentials` of the agent's own folder; empty: none. */
  readonly credentials: string;
  /** Marks what is ours. */
  readonly fleet: string;
  /** Its agent runs beside it and has dialled in. */
  readonly isRemote?: boolean;
}

export interface EngineInfo {
  /** Found out, not believed. */
  readonly type: AgentType;
  /** For people, such as `Docker 28.2`. */
  readonly version: string;
  /** The same for two ways to one engine. */
  readonly identity: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly abilities: readonly Ability[];
}

export type Ability = 'exec' | 'stats' | 'limits' | 'pause' | 'snapshot';

/** One incarnation of one cluster. */
export interface ClusterRef {
  readonly cluster: string;
  readonly incarnation: number;
}

export interface SeenMember extends ClusterRef {
  readonly member: string;
  readonly state: 'starting' | 'running' | 'exited' | 'unknown';
  readonly exitCode?: number;
  /** For people: why it ended, or cannot be told. */
  readonly message: string;
  readonly restarts: number;
  /** Milliseconds since 1970; 0: not known. */
  readonly startedMs: number;
  /** Of the plan it was made from. */
  readonly digest: string;
  /** Where its ports of the host are reached, if not at the host's own address. */
  readonly address?: string;
}

/** A network, volume or folder of ours. */
export interface Leftover extends ClusterRef {
  readonly kind: 'network' | 'volume' | 'folder' | 'namespace' | 'secret';
  readonly name: string;
}

export interface Sighting {
  readonly members: readonly SeenMember[];
  /** What is there of incarnations without any member. */
  readonly leftovers: readonly Leftover[];
}

export interface MemberQuestion {
  readonly member: string;
  readonly question: Question;
  /** By the names that questions use: the port inside, and on the host (0: none). */
  readonly ports: Readonly<Record<string, { readonly inside: number; readonly host: number }>>;
}

export interface Answer {
  readonly isOk: boolean;
  /** It could not be asked, which says nothing about the member. */
  readonly isUnknown: boolean;
  /** Body of the answer, JSON of the result, or the command's output; at most 64 KiB. */
  readonly value: string;
  readonly message: string;
}

export interface LogLine {
  readonly member: string;
  /** Milliseconds since 1970; 0: not known. */
  readonly timeMs: number;
  readonly text: string;
  readonly isError: boolean;
}

export interface MemberUse {
  readonly member: string;
  readonly memoryBytes: number;
  /** Of one core. */
  readonly cpuPercent: number;
  readonly processes: number;
}

export interface Executed {
  readonly exitCode: number;
  readonly output: Uint8Array;
  readonly errors: Uint8Array;
}

export interface LogRequest extends ClusterRef {
  /** Empty: all. */
  readonly member: string;
  readonly isFollowing: boolean;
  /** Lines of each member from before. */
  readonly tail: number;
}

/**
 * One engine of one host, behind which local processes, Docker, Swarm and Kubernetes look the same.
 *
 * A driver keeps nothing that it could not find out again: everything it makes carries the fleet's label, the cluster, the incarnation and the
 * member, under names made of these, so that making it twice finds the first. It touches nothing else. Every verb may be cut off anywhere
 * and repeated; what is not there counts as removed or stopped.
 * Errors: `unavailable` with reason `engine_unreachable`; `unauthenticated`; `failed_precondition` with reason `image_missing`,
 * `program_missing`, `port_taken`, `disk_full`; `unimplemented` for what the engine cannot do.
 */
export interface Driver extends AsyncDisposable {
  probe(signal: AbortSignal): Promise<EngineInfo>;
  /** All that is ours, or of one cluster. What cannot be found out is `unknown`, never left out. */
  observe(cluster: string | undefined, signal: AbortSignal): Promise<Sighting>;
  /** Makes what is missing of these members and starts them; running ones are left alone. Does not wait for readiness. */
  create(ref: ClusterRef, members: readonly PlannedMember[], labels: Labels, signal: AbortSignal): Promise<void>;
  start(ref: ClusterRef, members: readonly string[], signal: AbortSignal): Promise<void>;
  /** In the order given: asks to end, waits, then ends by force. Resolves when they are gone with all they have started. */
  stop(ref: ClusterRef, members: readonly string[], signal: AbortSignal): Promise<void>;
  /** Removes all of an incarnation with its networks, volumes and files. Result: how many things were there. */
  remove(ref: ClusterRef, signal: AbortSignal): Promise<number>;
  /** Those of the ports that nobody on the host listens on. */
  freePorts(ports: readonly number[], signal: AbortSignal): Promise<readonly number[]>;
  /** One answer for each question, in their order. */
  ask(ref: ClusterRef, questions: readonly MemberQuestion[], signal: AbortSignal): Promise<readonly Answer[]>;
  logs(request: LogRequest, signal: AbortSignal): AsyncIterable<LogLine>;
  /** Once, or every second. */
  use(ref: ClusterRef, isFollowing: boolean, signal: AbortSignal): AsyncIterable<readonly MemberUse[]>;
  exec(ref: ClusterRef, member: string, command: readonly string[], signal: AbortSignal): Promise<Executed>;
  /**
   * What a volume holds, as a tar archive with paths relative to the volume; links are kept and never followed. The member should not run.
   * Errors: `unimplemented` without the ability `snapshot`; `not_found` with reason `member_missing` or `volume_missing`.
   */
  saveVolume(ref: ClusterRef, member: string, volume: string, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /**
   * Replaces what a volume holds, and makes the volume when it is missing; the member must not run, and may have to be made again. An archive
   * that breaks off leaves the old content; a kill in the middle leaves what a repeat heals.
   * Errors: as of `saveVolume`; `invalid_argument` with reason `archive_invalid`; `failed_precondition` with reason `disk_full`; what the archive throws.
   */
  loadVolume(
    ref: ClusterRef,
    member: string,
    volume: string,
    archive: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<void>;
  /** Names of clusters to look at, as something about them changes; missing one costs time only. */
  watch(signal: AbortSignal): AsyncIterable<string>;
}
