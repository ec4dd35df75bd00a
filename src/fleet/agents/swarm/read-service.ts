import type { SeenMember } from '../../driver/driver.ts';
import { readMarks } from '../logic/marks.ts';
import { nodeLabel } from './service-spec.ts';

/** What of a service counts here. Source: Docker Engine API 1.41, Service. */
export interface ServiceView {
  readonly ID: string;
  readonly Spec?: {
    readonly Name?: string;
    readonly Labels?: Record<string, string>;
    readonly Mode?: { readonly Replicated?: { readonly Replicas?: number } };
  };
}

export interface TaskView {
  readonly ServiceID: string;
  readonly NodeID?: string;
  readonly CreatedAt: string;
  readonly DesiredState?: string;
  readonly Status: {
    readonly Timestamp?: string;
    readonly State: string;
    readonly Err?: string;
    readonly ContainerStatus?: { readonly ContainerID?: string; readonly ExitCode?: number };
  };
}

export interface NodeView {
  readonly ID: string;
  readonly Description?: { readonly Hostname?: string };
  readonly Spec?: { readonly Availability?: string };
  readonly Status?: { readonly State?: string };
}

const ended: ReadonlySet<string> = new Set(['complete', 'failed', 'shutdown', 'rejected', 'remove']);

/** A service as a member, by its newest task. `undefined`: it is not ours. */
export function readService(
  { Spec }: ServiceView,
  tasks: readonly TaskView[],
  nodes: readonly NodeView[],
  addressOf: (node: string) => string,
): SeenMember | undefined {
  const marks = readMarks(Spec?.Labels);
  if (!marks || marks.member === '') return undefined;
  const nodeId = Spec?.Labels?.[nodeLabel] ?? '';
  const node = nodes.find(({ ID }) => ID === nodeId);
  const seen = { ...marks, restarts: Math.max(0, tasks.length - 1), startedMs: 0, address: addressOf(nodeId) };
  if (node?.Status?.State !== 'ready') {
    const name = node?.Description?.Hostname ?? nodeId;
    return { ...seen, state: 'unknown', message: `its node ${name} is ${node?.Status?.State ?? 'gone'}` };
  }
  const task = newest(tasks);
  if (!task) {
    const isStopped = Spec?.Mode?.Replicated?.Replicas === 0;
    return isStopped
      ? { ...seen, state: 'exited', message: 'was stopped' }
      : { ...seen, state: 'starting', message: 'has no task yet' };
  }
  const { State: state, Err = '', Timestamp, ContainerStatus } = task.Status;
  if (state === 'running') return { ...seen, state: 'running', message: '', startedMs: Date.parse(Timestamp ?? '') || 0 };
  if (state === 'orphaned') return { ...seen, state: 'unknown', message: 'its node was not heard of for too long' };
  if (!ended.has(state)) return { ...seen, state: 'starting', message: Err || `is ${state}` };
  const exitCode = ContainerStatus?.ExitCode;
  // As Docker tells it of a single container too.
  const how = /oom|out of memory/i.test(Err) ? 'was ended by the system: it used more memory than it may' : undefined;
  const message =
    how ??
    (exitCode ? `ended with code ${exitCode}: ${Err}` : Err || (exitCode === undefined ? `is ${state}` : 'ended with code 0'));
  return { ...seen, state: 'exited', message, ...(exitCode === undefined ? {} : { exitCode }) };
}

/** Tasks are never started again: each start makes a new one. */
export const newest = (tasks: readonly TaskView[]): TaskView | undefined =>
  tasks.toSorted((one, other) => Date.parse(other.CreatedAt) - Date.parse(one.CreatedAt))[0];
