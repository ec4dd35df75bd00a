import { type Fault, failedPrecondition, unavailable } from '#kernel/fault.ts';
import { rest } from '#lib/rest.ts';
import type { ClusterRef } from '../../driver/driver.ts';
import { labelsOf } from '../logic/marks.ts';
import { containerName, pathOf } from './api.ts';
import type { Manifest } from './manifests.ts';
import { type PodView, refusalOf } from './read-member.ts';
import { type KubeScope, soonMs, spaceOf, within } from './scene.ts';
import { waitScript } from './volume-scripts.ts';

/** A pod that lives while a volume of a member is copied. */
export interface Helper {
  readonly member: string;
  readonly volume: string;
  /** Of the volume. */
  readonly claim: string;
  readonly image: string;
  readonly isReadOnly: boolean;
}

/** Where helpers see the volume. */
export const mountPath = '/volume';
/** One that nobody comes back for ends by itself. */
export const helperSeconds = 3600;
const helperLabel = 'cellar.helper';
const removeMs = 60_000;
/** How long it may take to find a node, to bring the volume there, and to get the image. */
const placeMs = 90_000;
const mebibyte = 1024 * 1024;

/** No member has a dot in its name, and nobody looks for a member by these labels. */
const nameOf = ({ member, volume }: Pick<Helper, 'member' | 'volume'>): string => `${member}.${volume}`;

/**
 * Makes a helper, in the place of one that was left, and waits until it runs. Result: its pod's name.
 * Errors: `image_missing`, `member_rejected`; `helper_unfit` when its image has no shell; `volume_unreachable` when the cluster finds no place for it.
 */
export async function makeHelper(scope: KubeScope, ref: ClusterRef, helper: Helper, signal: AbortSignal): Promise<string> {
  const name = nameOf(helper);
  const early = AbortSignal.any([signal, AbortSignal.timeout(placeMs)]);
  await removeHelpers(scope, ref, helper, signal);
  await scope.api.apply(helperManifest(scope, ref, helper), signal);
  for (;;) {
    const pod = await scope.api.get<PodView>(`${pathOf('Pod', spaceOf(scope, ref))}/${encodeURIComponent(name)}`, signal);
    const state = pod.status.containerStatuses?.[0]?.state;
    if (state?.running) return name;
    const refusal = refusalOf(pod);
    const why = state?.terminated?.message ?? refusal?.message ?? pod.status.message ?? '';
    if (state?.terminated || /executable file not found/.test(why)) throw helperUnfit(helper.image, why);
    if (refusal) throw failedPrecondition(`${cannot(helper)}: ${refusal.message}`, { reason: refusal.reason, hint: imageHint });
    if (pod.status.phase === 'Failed') throw failedPrecondition(`${cannot(helper)}: ${why}`, { reason: 'member_rejected' });
    await rest(soonMs, early);
    signal.throwIfAborted();
    if (early.aborted) {
      const said = pod.status.conditions?.find(({ type, status }) => type === 'PodScheduled' && status === 'False')?.message;
      throw unavailable(`${cannot(helper)}: ${said ?? state?.waiting?.message ?? 'it does not begin'}`, {
        reason: 'volume_unreachable',
      });
    }
  }
}

/** With a member's helpers, or that of one volume, goes what they have begun there. Resolves when they are gone. */
export async function removeHelpers(
  scope: KubeScope,
  ref: ClusterRef,
  { member, volume }: { readonly member: string; readonly volume?: string },
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const helpers = (await within<PodView>(scope, 'Pod', ref, signal)).items.filter(
      ({ metadata }) =>
        metadata.labels?.[helperLabel] === member && (volume === undefined || metadata.name === nameOf({ member, volume })),
    );
    if (helpers.length === 0) return;
    for (const { metadata } of helpers)
      if (metadata.deletionTimestamp === undefined) await scope.api.remove('Pod', spaceOf(scope, ref), metadata.name, {}, signal);
    await rest(soonMs, signal);
    signal.throwIfAborted();
  }
}

/** Also when the caller has left: it would keep the volume. */
export async function leaveHelper(scope: KubeScope, ref: ClusterRef, helper: Helper): Promise<void> {
  try {
    await removeHelpers(scope, ref, helper, AbortSignal.timeout(removeMs));
  } catch {
    // The cluster does not answer, which does not change how the copy has ended: the next start of the member removes it.
  }
}

/** Errors: what a helper's image lacks. */
export const helperUnfit = (image: string, why: string): Fault =>
  failedPrecondition(`Image "${image}" cannot copy volumes: ${why}`, { reason: 'helper_unfit', hint: imageHint });

const imageHint = 'Name an image with a shell and tar with the setting kubernetes.helperImage, such as busybox:1.36.';
const cannot = ({ member, volume }: Helper): string => `The pod that copies volume "${volume}" of member "${member}" cannot run`;

/** As root, but with no more than it takes to read and make files of anybody, so that owners are kept. */
function helperManifest(scope: KubeScope, ref: ClusterRef, helper: Helper): Manifest {
  const labels = { ...labelsOf(scope.fleet, scope.host, { ...ref, member: '', digest: '' }), [helperLabel]: helper.member };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: nameOf(helper), namespace: spaceOf(scope, ref), labels },
    spec: {
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: 'Never',
      activeDeadlineSeconds: helperSeconds,
      terminationGracePeriodSeconds: 30,
      securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: containerName,
          image: helper.image,
          imagePullPolicy: 'IfNotPresent',
          command: ['sh', '-c', waitScript(helperSeconds), 'sh', mountPath],
          resources: { requests: { cpu: '10m', memory: '32Mi' }, limits: { cpu: '1', memory: String(256 * mebibyte) } },
          securityContext: {
            runAsUser: 0,
            runAsGroup: 0,
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'], add: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID'] },
          },
          volumeMounts: [{ name: 'volume', mountPath, readOnly: helper.isReadOnly }],
        },
      ],
      volumes: [{ name: 'volume', persistentVolumeClaim: { claimName: helper.claim } }],
    },
  };
}
