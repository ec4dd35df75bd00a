import type { SeenMember } from '../../driver/driver.ts';
import { readMarks } from '../logic/marks.ts';
import type { KubeObject } from './api.ts';
import { digestAnnotation } from './manifests.ts';

/** What of these objects counts here. Source: Kubernetes API reference, StatefulSet, Pod, Node. */
export interface StatefulSetView extends KubeObject {
  readonly spec: {
    readonly replicas?: number;
    readonly template?: { readonly spec: { readonly containers: readonly { readonly image?: string }[] } };
    readonly volumeClaimTemplates?: readonly KubeObject[];
  };
}

interface Terminated {
  readonly exitCode: number;
  readonly reason?: string;
  readonly message?: string;
}

export interface PodView extends KubeObject {
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly hostIP?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
    readonly containerStatuses?: readonly {
      readonly restartCount: number;
      readonly state?: {
        readonly running?: { readonly startedAt: string };
        readonly waiting?: { readonly reason?: string; readonly message?: string };
        readonly terminated?: Terminated;
      };
      readonly lastState?: { readonly terminated?: Terminated };
    }[];
  };
}

export interface NodeView extends KubeObject {
  readonly status?: {
    readonly allocatable?: Readonly<Record<string, string>>;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  };
}

const imageReasons = new Set(['ErrImagePull', 'ImagePullBackOff', 'ErrImageNeverPull', 'InvalidImageName', 'ImageInspectError']);
const configReasons = new Set(['CreateContainerConfigError', 'CreateContainerError', 'RunContainerError']);

/** A StatefulSet as a member, by its only pod. `undefined`: it is not ours. */
export function readMember(
  set: StatefulSetView,
  pod: PodView | undefined,
  nodeOf: (name: string) => NodeView | undefined,
): SeenMember | undefined {
  const marks = readMarks(set.metadata.labels);
  if (!marks || marks.member === '') return undefined;
  const [container] = pod?.status.containerStatuses ?? [];
  const seen = {
    ...marks,
    digest: set.metadata.annotations?.[digestAnnotation] ?? '',
    restarts: container?.restartCount ?? 0,
    startedMs: 0,
    ...(pod?.status.hostIP ? { address: pod.status.hostIP } : {}),
  };
  if (!pod) {
    return set.spec.replicas === 0
      ? { ...seen, state: 'exited', message: 'was stopped' }
      : { ...seen, state: 'starting', message: 'has no pod yet' };
  }
  const nodeName = pod.spec.nodeName;
  if (nodeName !== undefined) {
    const ready = nodeOf(nodeName)?.status?.conditions?.find(({ type }) => type === 'Ready');
    if (ready?.status !== 'True')
      return { ...seen, state: 'unknown', message: `its node ${nodeName} is ${ready ? 'not heard of' : 'gone'}` };
  }
  if (container?.state?.running) {
    const startedMs = Date.parse(container.state.running.startedAt) || 0;
    return { ...seen, state: 'running', startedMs, message: pod.metadata.deletionTimestamp ? 'is about to end' : '' };
  }
  const waiting = container?.state?.waiting;
  // Between two lives it waits; what counts is how the last one ended.
  const ended =
    container?.state?.terminated ?? (waiting?.reason === 'CrashLoopBackOff' ? container?.lastState?.terminated : undefined);
  if (ended) return { ...seen, state: 'exited', exitCode: ended.exitCode, message: endOf(ended) };
  if (pod.status.phase === 'Failed')
    return { ...seen, state: 'exited', message: [pod.status.reason, pod.status.message].filter(Boolean).join(': ') };
  const unplaced = pod.status.conditions?.find(({ type, status }) => type === 'PodScheduled' && status === 'False');
  const why = waiting?.message ?? waiting?.reason ?? unplaced?.message ?? `is ${pod.status.phase ?? 'pending'}`;
  return { ...seen, state: 'starting', message: why };
}

/** Why a pod will not run as things are; `undefined`: nothing says so. */
export function refusalOf(
  pod: PodView,
): { readonly reason: 'image_missing' | 'member_rejected'; readonly message: string } | undefined {
  const waiting = pod.status.containerStatuses?.[0]?.state?.waiting;
  const message = waiting?.message ?? waiting?.reason ?? '';
  if (imageReasons.has(waiting?.reason ?? '')) return { reason: 'image_missing', message };
  if (configReasons.has(waiting?.reason ?? '')) return { reason: 'member_rejected', message };
  return undefined;
}

/** True when the pod has got as far as it will without us: it runs, has run, or waits for something that takes long. */
export const isSettled = (pod: PodView): boolean => {
  const [container] = pod.status.containerStatuses ?? [];
  const { running, terminated, waiting } = container?.state ?? {};
  return (
    running !== undefined || terminated !== undefined || waiting?.reason === 'CrashLoopBackOff' || pod.status.phase === 'Failed'
  );
};

function endOf({ exitCode, reason, message }: Terminated): string {
  if (reason === 'OOMKilled') return 'was ended by the system: it used more memory than it may';
  if (exitCode === 137) return 'was ended by force';
  return `ended with code ${exitCode}${message ? `: ${message}` : ''}`;
}
