import { notFound } from '#kernel/fault.ts';
import type { ClusterRef, Leftover, SeenMember, Sighting } from '../../driver/driver.ts';
import { readMarks } from '../logic/marks.ts';
import type { Kind, KubeApi, KubeList, KubeObject } from './api.ts';
import { namespaceOf, type Owner, selectorOf } from './manifests.ts';
import { type NodeView, type PodView, readMember, type StatefulSetView } from './read-member.ts';

/** Whose part of a Kubernetes cluster is worked on. */
export interface KubeScope {
  readonly api: KubeApi;
  readonly fleet: string;
  readonly host: string;
}

/** How often is looked whether something has come or gone. */
export const soonMs = 200;

export const ownerOf = ({ fleet, host }: KubeScope, { cluster, incarnation }: ClusterRef): Owner => ({
  ...{ fleet, host, cluster, incarnation },
});
export const spaceOf = (scope: KubeScope, ref: ClusterRef): string => namespaceOf(ownerOf(scope, ref));
export const podOf = (member: string): string => `${member}-0`;
export const memberMissing = (ref: ClusterRef, member: string): Error =>
  notFound(`There is no member "${member}" of cluster "${ref.cluster}" here`, { reason: 'member_missing' });

/** All of a kind that is ours, or of one cluster. */
export const ours = <T extends KubeObject>(
  { api, fleet, host }: KubeScope,
  kind: Kind,
  signal: AbortSignal,
  cluster?: string,
): Promise<KubeList<T>> => api.list<T>(kind, '', { labelSelector: selectorOf(fleet, host, cluster) }, signal);

/** All of a kind in the namespace of an incarnation. */
export const within = <T extends KubeObject>(
  scope: KubeScope,
  kind: Kind,
  ref: ClusterRef,
  signal: AbortSignal,
): Promise<KubeList<T>> => {
  const labelSelector = selectorOf(scope.fleet, scope.host, ref.cluster, ref.incarnation);
  return scope.api.list<T>(kind, spaceOf(scope, ref), { labelSelector }, signal);
};

/** See `Driver.observe`. */
export async function observe(scope: KubeScope, cluster: string | undefined, signal: AbortSignal): Promise<Sighting> {
  const [sets, pods, nodes, spaces] = await Promise.all([
    ours<StatefulSetView>(scope, 'StatefulSet', signal, cluster),
    ours<PodView>(scope, 'Pod', signal, cluster),
    scope.api.list<NodeView>('Node', '', {}, signal),
    ours(scope, 'Namespace', signal, cluster),
  ]);
  const byName = new Map(pods.items.map((pod) => [`${pod.metadata.namespace}/${pod.metadata.name}`, pod]));
  const node = new Map(nodes.items.map((one) => [one.metadata.name, one]));
  const members = sets.items.flatMap((set): SeenMember[] => {
    const pod = byName.get(`${set.metadata.namespace}/${podOf(set.metadata.name)}`);
    const seen = readMember(set, pod, (name) => node.get(name));
    return seen ? [seen] : [];
  });
  const whole = new Set(members.map(keyOf));
  const leftovers = spaces.items.flatMap(({ metadata: { name, labels } }): Leftover[] => {
    const marks = readMarks(labels);
    if (!marks || whole.has(keyOf(marks))) return [];
    return [{ kind: 'namespace', name, cluster: marks.cluster, incarnation: marks.incarnation }];
  });
  return { members, leftovers };
}

const keyOf = ({ cluster, incarnation }: ClusterRef): string => `${cluster}/${incarnation}`;
