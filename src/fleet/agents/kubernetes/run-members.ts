import { rest } from '#lib/rest.ts';
import type { ClusterRef } from '../../driver/driver.ts';
import { isGone, type Kind } from './api.ts';
import { removeHelpers } from './helper.ts';
import { isSettled, type PodView, type StatefulSetView } from './read-member.ts';
import { type KubeScope, memberMissing, observe, ours, podOf, soonMs, spaceOf, within } from './scene.ts';

/** Wants a pod of a member, and one that has ended to start at once. */
export async function beginMember(scope: KubeScope, ref: ClusterRef, member: string, signal: AbortSignal): Promise<void> {
  const set = (await within<StatefulSetView>(scope, 'StatefulSet', ref, signal)).items.find(
    ({ metadata }) => metadata.name === member,
  );
  if (!set) throw memberMissing(ref, member);
  // A helper of somebody who was killed would keep the volume.
  if (set.spec.replicas === 0) await removeHelpers(scope, ref, { member }, signal);
  if (set.spec.replicas === 0)
    return await scope.api.merge('StatefulSet', spaceOf(scope, ref), member, { spec: { replicas: 1 } }, signal);
  for (;;) {
    const pod = (await within<PodView>(scope, 'Pod', ref, signal)).items.find(({ metadata }) => metadata.name === podOf(member));
    // Kubernetes would start it again too, in its own time, which doubles with every end; what it has just started is left alone.
    if (!pod || !isSettled(pod) || pod.status.containerStatuses?.[0]?.state?.running) return;
    if (await scope.api.removeSeen('Pod', pod, signal)) return;
  }
}

/** Resolves when its pod is gone, or cannot be seen any more. */
export async function stopMember(scope: KubeScope, ref: ClusterRef, member: string, signal: AbortSignal): Promise<void> {
  try {
    await scope.api.merge('StatefulSet', spaceOf(scope, ref), member, { spec: { replicas: 0 } }, signal);
  } catch (error) {
    if (isGone(error)) return;
    throw error;
  }
  for (;;) {
    const { members } = await observe(scope, ref.cluster, signal);
    const seen = members.find((one) => one.member === member && one.incarnation === ref.incarnation);
    const { items } = await within<PodView>(scope, 'Pod', ref, signal);
    if (!seen || seen.state === 'unknown' || !items.some(({ metadata }) => metadata.name === podOf(member))) return;
    await rest(soonMs, signal);
    signal.throwIfAborted();
  }
}

/** See `Driver.remove`. */
export async function removeMembers(scope: KubeScope, ref: ClusterRef, signal: AbortSignal): Promise<number> {
  const namespace = spaceOf(scope, ref);
  const spaces = async () =>
    (await ours(scope, 'Namespace', signal, ref.cluster)).items.filter(({ metadata }) => metadata.name === namespace);
  if ((await spaces()).length === 0) return 0;
  const kinds: readonly Kind[] = ['StatefulSet', 'Service', 'ConfigMap', 'Secret', 'PersistentVolumeClaim', 'NetworkPolicy'];
  const counts = await Promise.all(kinds.map(async (kind) => (await within(scope, kind, ref, signal)).items.length));
  await scope.api.remove('Namespace', '', namespace, {}, signal);
  // Nothing of it is kept, so it need not end nicely.
  for (const { metadata } of (await within(scope, 'Pod', ref, signal)).items)
    await scope.api.remove('Pod', namespace, metadata.name, { gracePeriodSeconds: 1 }, signal);
  while ((await spaces()).length > 0) {
    await rest(soonMs, signal);
    signal.throwIfAborted();
  }
  return counts.reduce((sum, count) => sum + count, 1);
}
