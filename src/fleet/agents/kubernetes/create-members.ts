import { failedPrecondition } from '#kernel/fault.ts';
import { rest } from '#lib/rest.ts';
import type { PlannedMember } from '../../blueprints/logic/plan-members.ts';
import type { ClusterRef } from '../../driver/driver.ts';
import { KubeError, type KubeObject } from './api.ts';
import { type Manifest, memberManifests, namespaceManifests } from './manifests.ts';
import { isSettled, type PodView, refusalOf } from './read-member.ts';
import { beginMember } from './run-members.ts';
import { type KubeScope, ownerOf, soonMs, spaceOf, within } from './scene.ts';

/** How long is waited for a pod's first steps, in which most of what can be wrong with it comes out. */
const settleMs = 20_000;

/** See `Driver.create`. */
export async function createMembers(
  scope: KubeScope,
  ref: ClusterRef,
  members: readonly PlannedMember[],
  signal: AbortSignal,
): Promise<void> {
  const owner = ownerOf(scope, ref);
  const there = new Set((await within(scope, 'StatefulSet', ref, signal)).items.map(({ metadata }) => metadata.name));
  const missingOnes = members.filter(({ name }) => !there.has(name));
  const unfit = missingOnes.find(({ image }) => image === '');
  if (unfit) {
    const message = `Member "${unfit.name}" has no image, so it cannot run in a container`;
    throw failedPrecondition(message, { reason: 'image_missing' });
  }
  if (missingOnes.length > 0) for (const manifest of namespaceManifests(owner)) await apply(scope, manifest, signal);
  for (const member of members) {
    if (there.has(member.name)) await beginMember(scope, ref, member.name, signal);
    else for (const manifest of memberManifests(owner, member)) await apply(scope, manifest, signal);
  }
  await settle(scope, ref, new Set(members.map(({ name }) => name)), signal);
}

/** A namespace that is on its way out takes nothing in, and of two that make one thing at once the slower is refused: both is tried again. */
async function apply(scope: KubeScope, manifest: Manifest, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await scope.api.apply(manifest, signal);
      return;
    } catch (error) {
      const isPassing = error instanceof KubeError && (error.status === 409 || /being terminated/.test(error.message));
      if (!isPassing) throw error;
    }
    await rest(soonMs, signal);
    signal.throwIfAborted();
  }
}

/** Waits for the first steps of pods. Errors: `image_missing`, `member_rejected`, `quota_exceeded`; none for what only takes long. */
async function settle(scope: KubeScope, ref: ClusterRef, wanted: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
  const early = AbortSignal.any([signal, AbortSignal.timeout(settleMs)]);
  for (;;) {
    const pods = (await within<PodView>(scope, 'Pod', ref, signal)).items.filter(({ metadata }) =>
      wanted.has(metadata.labels?.['cellar.member'] ?? ''),
    );
    for (const pod of pods) {
      const refusal = refusalOf(pod);
      if (!refusal) continue;
      throw failedPrecondition(`The cluster cannot run member "${pod.metadata.labels?.['cellar.member']}": ${refusal.message}`, {
        reason: refusal.reason,
        hint: 'Bring the image to the nodes or to a registry they reach, or name another with the blueprint\'s parameter "image".',
      });
    }
    if (pods.length === wanted.size && pods.every(isSettled)) return;
    if (pods.length < wanted.size) await assertNotRefused(scope, ref, signal);
    await rest(soonMs, early);
    signal.throwIfAborted();
    if (early.aborted) return;
  }
}

/** Of pods that there are not, only events tell why. */
async function assertNotRefused(scope: KubeScope, ref: ClusterRef, signal: AbortSignal): Promise<void> {
  const fieldSelector = 'type=Warning,reason=FailedCreate';
  const { items } = await scope.api.list<KubeObject & { readonly message?: string }>(
    'Event',
    spaceOf(scope, ref),
    { fieldSelector },
    signal,
  );
  const said = items.find(({ message = '' }) =>
    /exceeded quota|must specify limits|PodSecurity|denied the request/.test(message),
  );
  if (!said) return;
  const isQuota = /quota|must specify/.test(said.message ?? '');
  throw failedPrecondition(`The cluster refuses a member: ${said.message}`, {
    reason: isQuota ? 'quota_exceeded' : 'member_rejected',
  });
}
