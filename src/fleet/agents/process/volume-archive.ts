import { constants } from 'node:fs';
import { lstat, mkdir, open, readdir, readlink, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { extract, type Header, type Pack, pack } from 'tar-stream';
import { aborted, Fault, failedPrecondition } from '#kernel/fault.ts';
import { isSystemError } from '#lib/system-error.ts';
import { archiveInvalid, wholeArchive } from '../logic/whole-archive.ts';

/**
 * A folder as a tar archive: files, folders and links, which are kept and never followed; sockets, pipes and devices are left out, since they
 * mean nothing elsewhere. Reads only as fast as it is read. Errors: `aborted` with reason `volume_changed` when a file changes meanwhile.
 */
export async function* packFolder(folder: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const archive = pack();
  const filling = packInto(archive, folder, '', signal).then(
    () => archive.finalize(),
    (error: unknown) => archive.destroy(error instanceof Error ? error : new Error(String(error))),
  );
  try {
    for await (const piece of archive) yield piece as Uint8Array;
  } finally {
    archive.destroy();
    await filling;
  }
}

async function packInto(archive: Pack, folder: string, prefix: string, signal: AbortSignal): Promise<void> {
  const { mode, mtime } = await lstat(folder);
  archive.entry({ name: `./${prefix}`, type: 'directory', mode: mode & 0o7777, mtime });
  for (const child of (await readdir(folder)).toSorted()) {
    signal.throwIfAborted();
    const path = join(folder, child);
    const stats = await lstat(path);
    const header = { name: `./${prefix}${child}`, mode: stats.mode & 0o7777, mtime: stats.mtime };
    if (stats.isDirectory()) await packInto(archive, path, `${prefix}${child}/`, signal);
    else if (stats.isSymbolicLink()) archive.entry({ ...header, type: 'symlink', linkname: await readlink(path) });
    else if (stats.isFile()) await packFile(archive, path, header, signal);
  }
}

async function packFile(
  archive: Pack,
  path: string,
  header: Pick<Header, 'name' | 'mode' | 'mtime'>,
  signal: AbortSignal,
): Promise<void> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const { size } = await file.stat();
  const entry = archive.entry({ ...header, type: 'file', size });
  try {
    // Never more than was announced: a log may grow meanwhile.
    const content = size > 0 ? file.createReadStream({ start: 0, end: size - 1, autoClose: false }) : [];
    await pipeline(content, entry, { signal });
  } catch (error) {
    if (error instanceof Error && /size mismatch/i.test(error.message))
      throw aborted(`The file ${JSON.stringify(header.name)} was changed while it was read`, {
        reason: 'volume_changed',
        cause: error,
      });
    throw error;
  }
}

/**
 * Makes the content of a tar archive in a folder that is new, empty and nobody else's; what is there is durable when it resolves. Nothing is
 * ever written outside: an entry lies in a folder of the same archive, and links are made and never followed.
 * Errors: `invalid_argument` with reason `archive_invalid`; `failed_precondition` with reason `disk_full`; what the archive throws.
 */
export async function unpackFolder(archive: AsyncIterable<Uint8Array>, folder: string, signal: AbortSignal): Promise<void> {
  const entries = extract();
  const feeding = pipeline(wholeArchive(archive), entries, { signal });
  // Awaited below; it may fail before.
  feeding.catch(() => undefined);
  const folders = new Map([['', 0o755]]);
  try {
    for await (const entry of entries) {
      const { header } = entry;
      const name = safeName(header.name);
      const mode = header.mode ?? 0o644;
      const parent = dirname(`/${name}`).slice(1);
      if (!folders.has(parent)) throw archiveInvalid(`${JSON.stringify(header.name)} lies in no folder of it`);
      if (header.type === 'directory') {
        if (name !== '') await mkdir(join(folder, name), { mode: 0o700 });
        folders.set(name, mode);
      } else if (name === '') throw archiveInvalid('an entry has no name');
      else if (header.type === 'symlink') await symlink(header.linkname ?? '', join(folder, name));
      else if (header.type === 'file')
        await writeEntry(join(folder, name), entry as AsyncIterable<Uint8Array>, mode, header.mtime);
      else throw archiveInvalid(`${JSON.stringify(header.name)} is of the type "${header.type}"`);
      entry.resume();
    }
    await feeding;
    // Children first: a folder that may not be written could not have got them.
    for (const [name, mode] of [...folders].toReversed()) {
      await using handle = await open(join(folder, name), constants.O_DIRECTORY);
      await handle.sync();
      await handle.chmod(mode);
    }
  } catch (error) {
    entries.destroy();
    // Whoever sends knows best why it broke off.
    const cause = await feeding.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    throw unpackFault(cause instanceof Fault ? cause : error);
  }
}

async function writeEntry(
  path: string,
  content: AsyncIterable<Uint8Array>,
  mode: number,
  mtime: Date | undefined,
): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  for await (const piece of content) for (let at = 0; at < piece.byteLength; ) at += (await file.write(piece, at)).bytesWritten;
  if (mtime) await file.utimes(mtime, mtime);
  await file.chmod(mode);
  await file.sync();
}

/** Without what says "here"; empty for the folder itself. */
function safeName(name: string): string {
  const parts = name
    .replace(/\/+$/, '')
    .split('/')
    .filter((part, at) => part !== '.' || at > 0);
  if (parts.length === 0 || (parts.length === 1 && parts[0] === '')) return '';
  if (parts.some((part) => part === '' || part === '.' || part === '..' || part.includes('\0')))
    throw archiveInvalid(`${JSON.stringify(name)} is no name inside it`);
  return parts.join('/');
}

function unpackFault(error: unknown): unknown {
  if (error instanceof Fault) return error;
  if (isSystemError(error, 'ENOSPC', 'EDQUOT'))
    return failedPrecondition('The disk is full', { reason: 'disk_full', hint: 'Make room, then try again.', cause: error });
  if (isSystemError(error, 'EEXIST')) return archiveInvalid('a name is in it twice');
  if (error instanceof Error && /Unexpected end of data|Invalid tar header/.test(error.message))
    return archiveInvalid(error.message);
  return error;
}
