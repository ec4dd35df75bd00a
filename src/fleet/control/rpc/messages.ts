import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  Cluster_Desired,
  Cluster_Health,
  Cluster_State,
  type ClusterSchema,
  Member_State,
} from '#gen/cellar/fleet/v1/clusters_pb.ts';
import {
  Condition_Truth,
  type ConditionSchema,
  FleetEvent_Severity,
  type FleetEventSchema,
} from '#gen/cellar/fleet/v1/common_pb.ts';
import { Claim_State, type ClaimSchema } from '#gen/cellar/fleet/v1/engine_pb.ts';
import {
  type AgentType as AgentTypeMessage,
  type Host,
  type HostSchema,
  type HostSpec as HostSpecMessage,
  HostStatus_State,
} from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { Operation_State, type OperationSchema } from '#gen/cellar/fleet/v1/operations_pb.ts';
import { invalidArgument } from '#kernel/fault.ts';
import type { AgentType, Health, Labels } from '../../common/words.ts';
import { agentTypes, typeMessage } from '../../driver/messages.ts';
import type { FleetEvent } from '../logic/events.ts';
import type { ClusterState, Condition, Desired } from '../logic/model.ts';
import type {
  HostSpec,
  HostState,
  HostUse,
  OperationState,
  StoredClaim,
  StoredCluster,
  StoredHost,
  StoredOperation,
} from '../store/store.ts';

/** Words of the store and their numbers in the contract, both ways. */
const hostStates: Readonly<Record<HostState, HostStatus_State>> = {
  active: HostStatus_State.ACTIVE,
  unreachable: HostStatus_State.UNREACHABLE,
  draining: HostStatus_State.DRAINING,
  resetting: HostStatus_State.RESETTING,
  deleting: HostStatus_State.DELETING,
};
const clusterStates: Readonly<Record<ClusterState, Cluster_State>> = {
  building: Cluster_State.BUILDING,
  ready: Cluster_State.READY,
  stopping: Cluster_State.STOPPING,
  stopped: Cluster_State.STOPPED,
  recycling: Cluster_State.RECYCLING,
  deleting: Cluster_State.DELETING,
  failed: Cluster_State.FAILED,
};
const healths: Readonly<Record<Health, Cluster_Health>> = {
  ok: Cluster_Health.OK,
  degraded: Cluster_Health.DEGRADED,
  failed: Cluster_Health.FAILED,
  unknown: Cluster_Health.UNKNOWN,
};
const desires: Readonly<Record<Desired, Cluster_Desired>> = {
  running: Cluster_Desired.RUNNING,
  stopped: Cluster_Desired.STOPPED,
  absent: Cluster_Desired.ABSENT,
};
const truths: Readonly<Record<Condition['status'], Condition_Truth>> = {
  true: Condition_Truth.TRUE,
  false: Condition_Truth.FALSE,
  unknown: Condition_Truth.UNKNOWN,
};
const operationStates: Readonly<Record<OperationState, Operation_State>> = {
  running: Operation_State.RUNNING,
  done: Operation_State.DONE,
  failed: Operation_State.FAILED,
  cancelled: Operation_State.CANCELLED,
};
const claimStates: Readonly<Record<StoredClaim['state'], Claim_State>> = {
  waiting: Claim_State.WAITING,
  bound: Claim_State.BOUND,
  ended: Claim_State.ENDED,
};
const severities: Readonly<Record<FleetEvent['severity'], FleetEvent_Severity>> = {
  info: FleetEvent_Severity.INFO,
  warning: FleetEvent_Severity.WARNING,
  error: FleetEvent_Severity.ERROR,
};

const wordOf = <W extends string>(words: Readonly<Record<W, number>>, number: number): W | undefined =>
  (Object.keys(words) as W[]).find((word) => words[word] === number);

export const readClusterState = (state: Cluster_State): ClusterState | undefined => wordOf(clusterStates, state);
export const readHealth = (health: Cluster_Health): Health | undefined => wordOf(healths, health);
export const readHostState = (state: HostStatus_State): HostState | undefined => wordOf(hostStates, state);
export const readOperationState = (state: Operation_State): OperationState | undefined => wordOf(operationStates, state);
export const readAgentType = (type: AgentTypeMessage): AgentType | undefined => agentTypes[type - 1];

const time = (ms: number | undefined) => (ms ? timestampFromMs(ms) : undefined);
/** Ports that members get where a host names no range of its own. */
const portRange = { first: 20_000, last: 29_999 };
/** Kubernetes publishes these unless its own settings say otherwise. Source: Kubernetes, Service, NodePort. */
const nodePortRange = { first: 30_000, last: 32_767 };

const [nameLengthMax, valueLengthMax] = [63, 1000];

/** Labels or parameters as somebody gave them, of a length that can be shown. Errors: `invalid_argument` with reason `label_too_long`. */
export function readLabels(labels: Labels): Labels {
  for (const [name, value] of Object.entries(labels)) {
    if (name !== '' && name.length <= nameLengthMax && value.length <= valueLengthMax) continue;
    throw invalidArgument(
      `Cannot use ${JSON.stringify(name.slice(0, nameLengthMax))} with a value of ${value.length} characters`,
      {
        reason: 'label_too_long',
        hint: `A name has 1 to ${nameLengthMax} characters, and a value ${valueLengthMax} at most.`,
      },
    );
  }
  return labels;
}

/** Shape: `name=value,name=value`. Errors: `invalid_argument`. */
export function readSelector(text: string): Labels {
  const pairs = text.split(',').filter((pair) => pair.trim() !== '');
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1)
        throw invalidArgument(`Cannot read the selector ${JSON.stringify(text)}`, {
          reason: 'selector_invalid',
          hint: 'Write name=value,name=value.',
        });
      return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
    }),
  );
}

export function readHostSpec({ spec }: Pick<Host, 'spec'>): HostSpec {
  if (!spec) throw invalidArgument('A host needs a spec');
  const type = readAgentType(spec.type);
  if (!type) throw invalidArgument('A host needs a type', { hint: `One of ${agentTypes.join(', ')}.` });
  return { type, ...readSpecFields(spec, type) };
}

function readSpecFields(spec: HostSpecMessage, type: AgentType | undefined): Omit<HostSpec, 'type'> {
  const { address, credentials, capacity, capacityWeight, autofill, warmMin, cordoned, labels, remoteAgent } = spec;
  const range = type === 'kubernetes' ? nodePortRange : portRange;
  return {
    ...{ address, credentials, capacity, capacityWeight, autofill, warmMin, cordoned, remoteAgent },
    labels: readLabels(labels),
    templates: spec.templates.map(({ blueprint, parameters }) => ({ blueprint, parameters })),
    portFirst: spec.portFirst || range.first,
    portLast: spec.portLast || range.last,
  };
}

/** Those fields of a spec that the mask names. Errors: `invalid_argument` for one that there is not. */
export function readHostChanges(host: Host, paths: readonly string[]): Partial<HostSpec> {
  if (!host.spec) throw invalidArgument('A host needs a spec');
  const spec = { type: readAgentType(host.spec.type), ...readSpecFields(host.spec, readAgentType(host.spec.type)) };
  const changes: Record<string, unknown> = {};
  for (const path of paths) {
    const field = path.replace(/^spec\./, '').replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    if (!Object.hasOwn(spec, field)) throw invalidArgument(`A host's spec has no field "${path}"`, { reason: 'mask_invalid' });
    changes[field] = Reflect.get(spec, field);
  }
  return changes as Partial<HostSpec>;
}

export function hostMessage(host: StoredHost & Partial<HostUse>): MessageInitShape<typeof HostSchema> {
  const { name, spec, conditions, generation, version, clusters = 0, free = 0, used = 0, weight = 0, engine } = host;
  return {
    name,
    spec: { ...spec, type: typeMessage(spec.type), templates: spec.templates.map((template) => ({ ...template })) },
    status: {
      ...{ clusters, free, used, weight, engine, state: hostStates[host.state], conditions: conditions.map(conditionMessage) },
      observedGeneration: BigInt(host.observedGeneration),
      ...stamp('seenTime', host.seenMs),
    },
    generation: BigInt(generation),
    version: BigInt(version),
    ...stamp('createTime', host.createdMs),
    ...stamp('deleteTime', host.deletedMs),
  };
}

export function clusterMessage(
  cluster: StoredCluster,
  more: {
    readonly endpoints?: Labels;
    readonly members?: readonly {
      readonly member: string;
      readonly state: string;
      readonly message: string;
      readonly restarts: number;
      readonly startedMs: number;
    }[];
  } = {},
): MessageInitShape<typeof ClusterSchema> {
  const { name, host, blueprint, parameters, state, health, conditions, claim, owner, incarnation, weight, labels, ports } =
    cluster;
  return {
    ...{ name, host, blueprint, claim, owner, incarnation, weight, parameters, labels },
    desired: desires[cluster.desired],
    state: clusterStates[state],
    health: healths[health],
    conditions: conditions.map(conditionMessage),
    endpoints: more.endpoints ?? {},
    members: cluster.members.map((goal) => {
      const seen = more.members?.find(({ member }) => member === goal.name);
      return {
        ...{ name: goal.name, role: goal.role, message: seen?.message ?? '', restarts: seen?.restarts ?? 0 },
        state: more.members ? memberState(seen?.state) : Member_State.UNKNOWN,
        ports: Object.fromEntries(ports.filter(({ member }) => member === goal.name).map((port) => [port.name, port.port])),
        ...stamp('startTime', seen?.startedMs),
      };
    }),
    generation: BigInt(cluster.generation),
    observedGeneration: BigInt(cluster.observedGeneration),
    version: BigInt(cluster.version),
    ...stamp('createTime', cluster.createdMs),
    ...stamp('readyTime', cluster.readyMs),
    ...stamp('deleteTime', cluster.deletedMs),
  };
}

function memberState(state: string | undefined): Member_State {
  const states: Readonly<Record<string, Member_State>> = {
    starting: Member_State.STARTING,
    running: Member_State.RUNNING,
    exited: Member_State.EXITED,
    unknown: Member_State.UNKNOWN,
  };
  return state === undefined ? Member_State.MISSING : (states[state] ?? Member_State.UNKNOWN);
}

export function claimMessage(
  claim: StoredClaim,
  cluster?: MessageInitShape<typeof ClusterSchema>,
  place = 0,
): MessageInitShape<typeof ClaimSchema> {
  const { id, state, user, userName, labels, boundMs, endedMs, endReason } = claim;
  return {
    ...{ id, user, userName, labels, place, endReason, state: claimStates[state] },
    // Of an ended one the name alone: the cluster is another's by now.
    ...(cluster ? { cluster } : claim.cluster === '' ? {} : { cluster: { name: claim.cluster } }),
    ...stamp('applyTime', claim.appliedMs),
    ...stamp('bindTime', boundMs),
    ...stamp('expireTime', claim.expireMs),
    ...stamp('expireTimeMax', claim.expireMsMax),
    ...stamp('endTime', endedMs),
    heldSeconds: boundMs > 0 && endedMs > 0 ? (endedMs - boundMs) / 1000 : 0,
  };
}

export function operationMessage(operation: StoredOperation): MessageInitShape<typeof OperationSchema> {
  const { id, verb, kind, name, state, done, failed, targets, message, reason, actor } = operation;
  return {
    ...{ id, verb, kind, name, done, failed, total: targets.length, message, reason, actor, state: operationStates[state] },
    ...stamp('createTime', operation.createdMs),
    ...stamp('endTime', operation.endedMs),
  };
}

export function eventMessage(event: FleetEvent, timeMs: number, position = 0): MessageInitShape<typeof FleetEventSchema> {
  const { host = '', cluster = '', blueprint = '', labels = {}, severity, ...rest } = event;
  return {
    ...rest,
    host,
    cluster,
    blueprint,
    labels,
    severity: severities[severity],
    position: BigInt(position),
    ...stamp('time', timeMs),
  };
}

function conditionMessage({ type, status, reason, message, changedMs }: Condition): MessageInitShape<typeof ConditionSchema> {
  return { type, reason, message, status: truths[status], ...stamp('changeTime', changedMs) };
}

/** A field of that name when there is a time. */
function stamp<N extends string>(name: N, ms: number | undefined): Partial<Record<N, ReturnType<typeof timestampFromMs>>> {
  const at = time(ms);
  return at ? ({ [name]: at } as Record<N, typeof at>) : {};
}
