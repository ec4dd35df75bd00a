import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { pack } from 'tar-stream';
import { failedPrecondition, notFound } from '#kernel/fault.ts';
import { asking, engineFault, isConflict, isGone } from './connect.ts';

/** A volume of one engine, by its name there. */
export interface EngineVolume {
  readonly docker: Docker;
  readonly name: string;
  /** Of the cluster's incarnation, for all that is made. */
  readonly labels: Readonly<Record<string, string>>;
}

const emptyImage = 'cellar-empty:1';
/** Where helpers see the volume. */
const mountPath = '/volume';
const askMs = 30_000;

/**
 * What a volume holds, as a tar archive. It is read through a container without any program that is never started, so it does not matter what
 * the member's own image has, or whether its container is there. Errors: `not_found` with reason `volume_missing`.
 */
export async function* saveEngineVolume(volume: EngineVolume, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const { docker, name } = volume;
  await asking(signal, askMs, async () => {
    try {
      await docker.getVolume(name).inspect();
    } catch (error) {
      throw isGone(error) ? notFound(`There is no volume "${name}" on the engine`, { reason: 'volume_missing' }) : error;
    }
  });
  const helper = await makeHelper(volume, signal);
  try {
    yield* contentOf(helper, signal);
  } finally {
    await removeHelper(helper);
  }
}

/**
 * Replaces what a volume holds. The archive is first unpacked into a volume beside it; then the old one goes, with the containers that still have
 * it, since an engine cannot empty a volume. A kill of the engine in between leaves a volume that is empty or not whole, which a repeat heals.
 * Errors: `failed_precondition` with reasons `member_running` and `disk_full`; `invalid_argument` with reason `archive_invalid`.
 */
export async function loadEngineVolume(
  volume: EngineVolume,
  archive: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const fresh = { ...volume, name: `${volume.name}.new` };
  await removeVolume(fresh, signal);
  try {
    const from = await makeHelper(fresh, signal);
    await fill(from, archive, signal);
    await removeVolume(volume, signal);
    await fill(await makeHelper(volume, signal), contentOf(from, signal), signal);
    for await (const helper of helpersOf(volume, signal)) await removeHelper(helper);
  } finally {
    // Also when the caller has left: it would keep its space.
    await removeVolume(fresh, AbortSignal.timeout(askMs));
  }
}

async function* contentOf(helper: Docker.Container, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    const content = Readable.from(await helper.getArchive({ path: `${mountPath}/.`, abortSignal: signal }));
    for await (const piece of content) yield piece as Uint8Array;
  } catch (error) {
    signal.throwIfAborted();
    throw engineFault(error);
  }
}

/** Errors: what the archive throws; `archive_invalid` when the engine does not understand it. */
async function fill(helper: Docker.Container, archive: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  const cut = new AbortController();
  let failure: { readonly error: unknown } | undefined;
  const watched = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* archive;
    } catch (error) {
      // The client does not look after what it sends: the request has to be ended, so that the engine sees no end of an archive.
      failure = { error };
      cut.abort();
      await new Promise(() => undefined);
    }
  };
  const content = Readable.from(watched(), { objectMode: false });
  try {
    const abortSignal = AbortSignal.any([signal, cut.signal]);
    const answer = (await helper.putArchive(content, { path: mountPath, abortSignal })) as unknown as Readable;
    await Array.fromAsync(answer);
  } catch (error) {
    signal.throwIfAborted();
    if (failure) throw failure.error;
    throw /unexpected EOF|invalid tar|archive\/tar/i.test(String(error))
      ? failedPrecondition('The engine cannot read the archive', { reason: 'archive_invalid', cause: error })
      : engineFault(error);
  } finally {
    content.destroy();
  }
}

async function makeHelper({ docker, name, labels }: EngineVolume, signal: AbortSignal): Promise<Docker.Container> {
  return await asking(signal, askMs, async (patience) => {
    await ensureEmptyImage(docker, patience);
    await docker.createVolume({ Name: name, Labels: { ...labels } });
    return await docker.createContainer({
      name: `${name}.${randomBytes(4).toString('hex')}`,
      Image: emptyImage,
      // Never started; the engine wants a word.
      Cmd: ['none'],
      Labels: { ...labels },
      NetworkDisabled: true,
      HostConfig: { NetworkMode: 'none', Mounts: [{ Type: 'volume', Source: name, Target: mountPath }] },
    });
  });
}

/** With all containers that have it. Errors: `member_running`. */
async function removeVolume(volume: EngineVolume, signal: AbortSignal): Promise<void> {
  const { docker, name } = volume;
  for await (const holder of helpersOf(volume, signal)) await removeHelper(holder);
  await asking(signal, askMs, async () => {
    try {
      await docker.getVolume(name).remove();
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  });
}

/** Containers that have the volume: helpers, and the member's own when it has ended. Errors: `member_running`. */
async function* helpersOf({ docker, name }: EngineVolume, signal: AbortSignal): AsyncGenerator<Docker.Container> {
  const all = await asking(signal, askMs, () => docker.listContainers({ all: true, filters: { volume: [name] } }));
  // The engine also finds volumes whose names only begin so.
  const holders = all.filter(({ Mounts }) => Mounts.some((mount) => mount.Name === name));
  if (holders.some(({ State }) => State === 'running' || State === 'paused' || State === 'restarting'))
    throw failedPrecondition(`A container uses volume "${name}", so it cannot be replaced`, { reason: 'member_running' });
  for (const { Id } of holders) yield docker.getContainer(Id);
}

async function removeHelper(helper: Docker.Container): Promise<void> {
  await asking(AbortSignal.timeout(askMs), askMs, async () => {
    try {
      await helper.remove({ force: true });
    } catch (error) {
      // 409: somebody else is removing it.
      if (!isGone(error) && !isConflict(error)) throw error;
    }
  });
}

/** An image without anything in it: a container needs one, and the registry may be out of reach. */
async function ensureEmptyImage(docker: Docker, signal: AbortSignal): Promise<void> {
  try {
    await docker.getImage(emptyImage).inspect();
    return;
  } catch (error) {
    if (!isGone(error)) throw error;
  }
  const archive = pack();
  archive.finalize();
  const [repo, tag] = emptyImage.split(':');
  const progress = await docker.importImage(Readable.from(archive, { objectMode: false }), { repo, tag, abortSignal: signal });
  await new Promise<void>((resolve, reject) =>
    docker.modem.followProgress(progress, (error) => (error ? reject(error) : resolve())),
  );
}
