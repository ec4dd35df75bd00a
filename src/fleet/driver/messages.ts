import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import type {
  Check,
  CheckResult,
  CheckSchema,
  EngineRef as EngineRefMessage,
  EngineRefSchema,
  MemberSpec,
  MemberSpecSchema,
  Observation,
  ObservationSchema,
} from '#gen/cellar/fleet/v1/agent_pb.ts';
import { Member_State } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import type { AgentType as AgentTypeMessage } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { invalidArgument } from '#kernel/fault.ts';
import type { Question } from '../blueprints/logic/blueprint.ts';
import type { PlannedMember } from '../blueprints/logic/plan-members.ts';
import type { AgentType } from '../common/words.ts';

import type { Answer, EngineRef, Leftover, MemberQuestion, SeenMember, Sighting } from './driver.ts';

/** What the agent's contract says, in the words of drivers, both ways. */

/** In the order of their numbers in the contract, from 1. */
export const agentTypes: readonly AgentType[] = ['process', 'docker', 'swarm', 'kubernetes', 'simulated'];
const states: Readonly<Record<SeenMember['state'], Member_State>> = {
  starting: Member_State.STARTING,
  running: Member_State.RUNNING,
  exited: Member_State.EXITED,
  unknown: Member_State.UNKNOWN,
};

export const typeMessage = (type: AgentType): AgentTypeMessage => (agentTypes.indexOf(type) + 1) as AgentTypeMessage;

export function readType(type: AgentTypeMessage): AgentType {
  const found = agentTypes[type - 1];
  if (!found) throw invalidArgument('An engine needs a type');
  return found;
}

export function engineMessage(
  { host, type, address, credentials, fleet }: EngineRef,
  epoch: number,
): MessageInitShape<typeof EngineRefSchema> {
  return { host, type: typeMessage(type), address, credentials, fleet, epoch: BigInt(epoch) };
}

export function readEngine({ host, type, address, credentials, fleet }: EngineRefMessage): EngineRef {
  return { host, type: readType(type), address, credentials, fleet };
}

export function sightingMessage({ members, leftovers }: Sighting): MessageInitShape<typeof ObservationSchema> {
  return {
    members: members.map(({ state, exitCode, startedMs, ...seen }) => ({
      ...{ ...seen, state: states[state] },
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(startedMs > 0 ? { startTime: timestampFromMs(startedMs) } : {}),
    })),
    leftovers: leftovers.map((leftover) => ({ ...leftover })),
  };
}

export function readSighting({ members, leftovers }: Observation): Sighting {
  return {
    members: members.map(({ cluster, incarnation, member, state, exitCode, message, restarts, startTime, digest, address }) => ({
      ...{ cluster, incarnation, member, message, restarts, digest },
      ...(address === '' ? {} : { address }),
      state: (Object.keys(states) as SeenMember['state'][]).find((word) => states[word] === state) ?? 'unknown',
      ...(exitCode === undefined ? {} : { exitCode }),
      startedMs: startTime ? timestampMs(startTime) : 0,
    })),
    leftovers: leftovers.map(({ cluster, incarnation, kind, name }) => ({
      cluster,
      incarnation,
      name,
      kind: kind as Leftover['kind'],
    })),
  };
}

export function memberMessage(member: PlannedMember): MessageInitShape<typeof MemberSpecSchema> {
  const { name, role, image, command, programs, environment, ports, volumes, files, ready } = member;
  return {
    ...{ name, role, image, environment, command: [...command], programs: [...programs], after: [...member.after] },
    ports: ports.map((port) => ({ ...port })),
    volumes: volumes.map((volume) => ({ ...volume })),
    files: files.map(({ path, text, secret = false, executable = false }) => ({
      ...{ path, isSecret: secret, isExecutable: executable },
      content: Buffer.from(text),
    })),
    memoryBytesMax: BigInt(member.memoryBytesMax),
    cpuMillisMax: member.cpuMillisMax,
    processesMax: member.processesMax,
    stopSignal: member.stopSignal,
    stopTimeoutMs: member.stopTimeoutMs,
    ready: ready.map((question) => checkMessage({ member: name, question, ports: portsOf(member) })),
  };
}

export function readMember(spec: MemberSpec): PlannedMember {
  const { name, role, image, command, programs, after, environment, ports, volumes, files } = spec;
  return {
    ...{ name, role, image, command, programs, after, environment, volumes },
    ports,
    files: files.map(({ path, content, isSecret, isExecutable }) => ({
      ...{ path, secret: isSecret, executable: isExecutable },
      text: Buffer.from(content).toString(),
    })),
    memoryBytesMax: Number(spec.memoryBytesMax),
    cpuMillisMax: spec.cpuMillisMax,
    processesMax: spec.processesMax,
    stopSignal: spec.stopSignal || 'SIGTERM',
    stopTimeoutMs: spec.stopTimeoutMs || 10_000,
    ready: spec.ready.map((check) => readCheck(check).question),
  };
}

const portsOf = ({ ports }: PlannedMember): MemberQuestion['ports'] =>
  Object.fromEntries(ports.map(({ name, port, hostPort }) => [name, { inside: port, host: hostPort }]));

export function checkMessage({ member, question, ports }: MemberQuestion): MessageInitShape<typeof CheckSchema> {
  const { http, tcp, jsonRpc, command, timeoutMs = 0 } = question;
  const named = Object.entries(ports).map(([name, { inside, host }]) => ({ name, port: inside, hostPort: host }));
  const base = { member, timeoutMs, ports: named };
  if (http) return { ...base, kind: { case: 'http', value: { port: http.port, path: http.path, status: http.status ?? 0 } } };
  if (tcp) return { ...base, kind: { case: 'tcp', value: { port: tcp.port } } };
  if (jsonRpc) {
    const { port, method, params = [], user = '', password = '', path = '/' } = jsonRpc;
    return { ...base, kind: { case: 'jsonRpc', value: { port, method, user, password, path, params: JSON.stringify(params) } } };
  }
  return { ...base, kind: { case: 'command', value: { command: [...(command ?? [])] } } };
}

export function readCheck({ member, kind, timeoutMs, ports }: Check): MemberQuestion {
  const byName = Object.fromEntries(ports.map(({ name, port, hostPort }) => [name, { inside: port, host: hostPort }]));
  const patience = timeoutMs > 0 ? { timeoutMs } : {};
  return { member, question: { ...patience, ...readKind(kind) }, ports: byName };
}

function readKind(kind: Check['kind']): Question {
  switch (kind.case) {
    case 'http':
      return {
        http: { port: kind.value.port, path: kind.value.path, ...(kind.value.status > 0 ? { status: kind.value.status } : {}) },
      };
    case 'tcp':
      return { tcp: { port: kind.value.port } };
    case 'jsonRpc': {
      const { port, method, params, user, password, path } = kind.value;
      const account = user === '' ? {} : { user, password };
      return { jsonRpc: { port, method, path, params: JSON.parse(params || '[]') as unknown[], ...account } };
    }
    case 'command':
      return { command: kind.value.command };
    default:
      throw invalidArgument('A check needs a question');
  }
}

export function readAnswer({ ok, unknown, value, message }: CheckResult): Answer {
  return { isOk: ok, isUnknown: unknown, value, message };
}
