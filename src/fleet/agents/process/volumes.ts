import { lstat, mkdir, open, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { failedPrecondition, notFound } from '#kernel/fault.ts';
import { isSystemError } from '#lib/system-error.ts';
import type { MemberFolders, MemberPlace } from './member-folder.ts';
import { packFolder, unpackFolder } from './volume-archive.ts';

/** Errors: `not_found` with reason `volume_missing`; those of `packFolder`. */
export async function* saveVolume(
  folders: MemberFolders,
  place: MemberPlace,
  volume: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const path = await pathOf(folders, place, volume);
  if (!(await isFolder(path))) throw missing(place, volume);
  yield* packFolder(path, signal);
}

/** The new content is made beside the old one and takes its place when it is whole. Errors: as above; those of `unpackFolder`. */
export async function loadVolume(
  folders: MemberFolders,
  place: MemberPlace,
  volume: string,
  archive: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const path = await pathOf(folders, place, volume);
  const [fresh, old] = ['new', 'old'].map((age) => join(folders.path(place), `volume.${volume}.${age}`)) as [string, string];
  await rm(fresh, { recursive: true, force: true });
  try {
    await mkdir(fresh, { mode: 0o700 });
    await unpackFolder(archive, fresh, signal);
    signal.throwIfAborted();
    await rm(old, { recursive: true, force: true });
    if (await isFolder(path)) await rename(path, old);
    // A kill between the two leaves no volume; whoever repeats this makes it.
    await rename(fresh, path);
    await sync(dirname(path));
    await rm(old, { recursive: true, force: true });
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/** Where a volume lies. A member can replace folders on the way by links, which are not followed out of its own folder. */
async function pathOf(folders: MemberFolders, place: MemberPlace, volume: string): Promise<string> {
  const record = await folders.record(place);
  const found = record?.member.volumes.find(({ name }) => name === volume);
  if (!found) throw missing(place, volume);
  const wanted = join(folders.root(place), found.path);
  await mkdir(dirname(wanted), { recursive: true });
  const [root, parent] = await Promise.all([realpath(folders.root(place)), realpath(dirname(wanted))]);
  if (parent === root || parent.startsWith(root + sep)) return join(parent, basename(wanted));
  throw failedPrecondition(`Volume "${volume}" of member "${place.member}" lies outside the member's folder`, {
    reason: 'volume_moved',
  });
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
}

async function sync(folder: string): Promise<void> {
  await using handle = await open(folder);
  await handle.sync();
}

const missing = ({ cluster, member }: MemberPlace, volume: string): Error =>
  notFound(`Member "${member}" of cluster "${cluster}" has no volume "${volume}" here`, { reason: 'volume_missing' });
