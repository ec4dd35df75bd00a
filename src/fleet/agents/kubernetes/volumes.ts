import { randomUUID } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { failedPrecondition, notFound, unavailable } from '#kernel/fault.ts';
import type { ClusterRef } from '../../driver/driver.ts';
import { archiveInvalid, wholeArchive } from '../logic/whole-archive.ts';
import { asking } from './api.ts';
import { framed } from './framed.ts';
import { type Helper, helperSeconds, helperUnfit, leaveHelper, makeHelper, mountPath } from './helper.ts';
import { claimManifest } from './manifests.ts';
import type { StatefulSetView } from './read-member.ts';
import { type KubeScope, memberMissing, ownerOf, podOf, spaceOf, within } from './scene.ts';
import { helperCodes, loadScript, saveScript } from './volume-scripts.ts';

export interface VolumeRef extends ClusterRef {
  readonly member: string;
  readonly volume: string;
  /** Empty: the member's own image. */
  readonly helperImage: string;
}

const askMs = 110_000;
const copyMs = helperSeconds * 1000;
const heldBytesMax = 1024 * 1024;

/** See `Driver.saveVolume`. The volume is read through a pod of its own, a helper, since a member that is stopped has none. */
export async function* saveVolume(scope: KubeScope, ref: VolumeRef, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const helper = await asking(signal, askMs, (patience) => helperOf(scope, ref, true, patience));
  const leave = new AbortController();
  try {
    const pod = await asking(signal, askMs, (patience) => makeHelper(scope, ref, helper, patience));
    const output = new PassThrough({ highWaterMark: heldBytesMax });
    const mark = randomUUID();
    const heard = Promise.withResolvers<void>();
    const input = (async function* () {
      await heard.promise;
      yield Buffer.from('\n');
    })();
    const command = { namespace: spaceOf(scope, ref), pod, command: ['sh', '-c', saveScript, 'sh', mountPath, mark] };
    const copying = asking(AbortSignal.any([signal, leave.signal]), copyMs, async (patience) => {
      const { exitCode, errors } = await scope.api.stream(command, { input, output }, patience);
      if (exitCode !== 0) throw copyFault(helper, exitCode, errors);
    });
    // Whoever reads is told of it, but for the end, which is awaited.
    copying.catch((error: unknown) => output.destroy(error instanceof Error ? error : new Error(String(error))));
    const isWhole = yield* upToMark(output, Buffer.from(mark), heard.resolve);
    await copying;
    if (!isWhole) throw unavailable(`The content of volume "${ref.volume}" broke off on its way`, { reason: 'copy_cut_off' });
  } finally {
    leave.abort();
    await leaveHelper(scope, ref, helper);
  }
}

/** See `Driver.loadVolume`. The new content is made beside the old one, in the same volume. */
export async function loadVolume(
  scope: KubeScope,
  ref: VolumeRef,
  archive: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const helper = await asking(signal, askMs, (patience) => helperOf(scope, ref, false, patience));
  let failure: { readonly error: unknown } | undefined;
  const watched = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* framed(wholeArchive(archive));
    } catch (error) {
      failure = { error };
      throw error;
    }
  };
  try {
    const pod = await asking(signal, askMs, (patience) => makeHelper(scope, ref, helper, patience));
    const command = { namespace: spaceOf(scope, ref), pod, command: ['sh', '-c', loadScript, 'sh', mountPath] };
    await asking(signal, copyMs, async (patience) => {
      const nothing = new PassThrough().resume();
      const { exitCode, errors } = await scope.api.stream(command, { input: watched(), output: nothing }, patience);
      if (exitCode !== 0) throw copyFault(helper, exitCode, errors);
    });
  } catch (error) {
    throw failure ? failure.error : error;
  } finally {
    await leaveHelper(scope, ref, helper);
  }
}

/** Passes on what comes before the mark, which ends it. Result: whether there was one. */
async function* upToMark(
  source: AsyncIterable<Uint8Array>,
  mark: Buffer,
  found: () => void,
): AsyncGenerator<Uint8Array, boolean> {
  let tail = Buffer.alloc(0);
  for await (const piece of source) {
    const all = Buffer.concat([tail, piece]);
    const before = Math.max(0, all.byteLength - mark.byteLength);
    tail = all.subarray(before);
    if (before > 0) yield all.subarray(0, before);
    if (tail.equals(mark)) found();
  }
  return tail.equals(mark);
}

/** Who copies. Errors: `member_missing`, `volume_missing`; `member_running` when the volume is to be written. */
async function helperOf(
  scope: KubeScope,
  { member, volume, helperImage, ...ref }: VolumeRef,
  isReadOnly: boolean,
  signal: AbortSignal,
): Promise<Helper> {
  const sets = await within<StatefulSetView>(scope, 'StatefulSet', ref, signal);
  const spec = sets.items.find(({ metadata }) => metadata.name === member)?.spec;
  if (!spec) throw memberMissing(ref, member);
  const claim = `${volume}-${podOf(member)}`;
  const isKnown = spec.volumeClaimTemplates?.some(({ metadata }) => metadata.name === volume) ?? false;
  const claims = (await within(scope, 'PersistentVolumeClaim', ref, signal)).items;
  const isThere = claims.some(({ metadata }) => metadata.name === claim);
  if (!isKnown || (isReadOnly && !isThere))
    throw notFound(`Member "${member}" of cluster "${ref.cluster}" has no volume "${volume}" here`, { reason: 'volume_missing' });
  if (!isReadOnly) {
    const { items } = await within(scope, 'Pod', ref, signal);
    if (items.some(({ metadata }) => metadata.name === podOf(member)))
      throw failedPrecondition(`Member "${member}" of cluster "${ref.cluster}" runs, so its volume cannot be replaced`, {
        reason: 'member_running',
      });
    if (!isThere) await scope.api.apply(claimManifest(ownerOf(scope, ref), member, volume), signal);
  }
  const image = helperImage || (spec.template?.spec.containers[0]?.image ?? '');
  return { member, volume, claim, image, isReadOnly };
}

function copyFault({ image, volume }: Helper, exitCode: number, errors: string): Error {
  const said = errors.split('\n').at(-1) ?? '';
  if (exitCode === helperCodes.toolMissing || exitCode === 127) return helperUnfit(image, `it has no ${said}`);
  if (/no space left|quota exceeded/i.test(errors))
    return failedPrecondition(`Volume "${volume}" is full: new content needs room beside the old one`, { reason: 'disk_full' });
  if (exitCode === helperCodes.unreadable) return archiveInvalid(said);
  return failedPrecondition(`Volume "${volume}" could not be copied: ${said || `code ${exitCode}`}`, { reason: 'copy_failed' });
}
