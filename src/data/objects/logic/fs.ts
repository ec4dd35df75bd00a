import * as fs from 'node:fs';
import { promisify } from 'node:util';
import { Code, exhausted, Fault, failedPrecondition, permissionDenied } from '#kernel/fault.ts';
import { escapeName, unescapeName } from '#lib/escaped-name.ts';
import { isSystemError, type SystemCode } from '#lib/system-error.ts';

/*
 * File system calls as promises. Made from the callback forms: `node:fs/promises` is slower for small files and has long
 * tails (bench: small objects on disk).
 */
const calls = {
  open: promisify(fs.open),
  mkdir: promisify(fs.mkdir),
  rename: promisify(fs.rename),
  link: promisify(fs.link),
  copyFile: promisify(fs.copyFile),
  unlink: promisify(fs.unlink),
  rmdir: promisify(fs.rmdir),
  rm: promisify(fs.rm),
  readdir: promisify(fs.readdir),
  readFile: promisify(fs.readFile),
};

/** The bytes of a path, which here is a text as of `escaped-name.ts`: names on a disk need not be UTF-8. */
const raw = (path: string): string | Buffer => (path.includes('\u241b') ? unescapeName(path) : path);

export const open = (path: string, flags: string | number, mode?: number): Promise<number> => calls.open(raw(path), flags, mode);
export const openNow = (path: string, flags: number): number => fs.openSync(raw(path), flags);
/** A file that was not there before. */
export const openNew = (path: string): number => fs.openSync(raw(path), 'wx');
export const mkdir = (path: string): Promise<void> => calls.mkdir(raw(path));
export const rename = (from: string, to: string): Promise<void> => calls.rename(raw(from), raw(to));
export const link = (from: string, to: string): Promise<void> => calls.link(raw(from), raw(to));
export const copyFile = (from: string, to: string, mode = 0): Promise<void> => calls.copyFile(raw(from), raw(to), mode);
export const unlink = (path: string): Promise<void> => calls.unlink(raw(path));
export const rmdir = (path: string): Promise<void> => calls.rmdir(raw(path));
export const remove = (path: string, options: fs.RmOptions = {}): Promise<void> => calls.rm(raw(path), options);
/** Names of our own files, which are UTF-8; see `readEntries` for those of others. */
export const readdir = (path: string): Promise<string[]> => calls.readdir(raw(path));
export const readFile = (path: string, encoding: BufferEncoding): Promise<string> => calls.readFile(raw(path), encoding);
export const fsync = promisify(fs.fsync);
export const fdatasync = promisify(fs.fdatasync);
export const realpath = promisify(fs.realpath.native);
export const ftruncate = promisify(fs.ftruncate);
export const futimes = promisify(fs.futimes);
export const utimes = promisify(fs.utimes);

/** An entry of a folder; the name is a text as of `escaped-name.ts`. */
export interface Entry {
  readonly name: string;
  readonly isFile: boolean;
  readonly isFolder: boolean;
}

export async function readEntries(path: string): Promise<readonly Entry[]> {
  const entries = await calls.readdir(raw(path), { withFileTypes: true });
  return entries.some(isOdd) ? oddEntries(path) : entries.map(entryOf);
}

export function readEntriesNow(path: string): readonly Entry[] {
  const entries = fs.readdirSync(raw(path), { withFileTypes: true });
  return entries.some(isOdd) ? oddEntries(path) : entries.map(entryOf);
}

const entryOf = (entry: fs.Dirent): Entry => ({
  name: entry.name,
  isFile: entry.isFile(),
  isFolder: entry.isDirectory(),
});

/** A name that may not be the text of its bytes. */
const isOdd = ({ name }: { readonly name: string }): boolean => name.includes('\ufffd') || name.includes('\u241b');

/** Once more by their bytes: seldom, and twice as slow. */
function oddEntries(path: string): readonly Entry[] {
  return fs.readdirSync(raw(path), { withFileTypes: true, encoding: 'buffer' }).map((entry) => ({
    name: escapeName(entry.name),
    isFile: entry.isFile(),
    isFolder: entry.isDirectory(),
  }));
}

/** With 64-bit integers, since times in nanoseconds and inodes do not fit a number. */
export const lstat = (path: string): Promise<fs.BigIntStats> =>
  new Promise((resolve, reject) =>
    fs.lstat(raw(path), { bigint: true }, (error, stats) => (error ? reject(error) : resolve(stats))),
  );

// The kernel answers these from memory; a trip to another thread would cost many times more.
/** `undefined` when nothing is there. */
export const lookAt = (path: string): fs.BigIntStats | undefined => {
  try {
    return fs.lstatSync(raw(path), { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    if (isSystemError(error, 'ENOTDIR', 'ENAMETOOLONG', 'EINVAL', 'EILSEQ')) return undefined;
    throw error;
  }
};
/** What an open file or folder is called now. Linux only. */
export const nameOfOpen = (fd: number): string => {
  const link = `/proc/self/fd/${fd}`;
  const name = fs.readlinkSync(link);
  return isOdd({ name }) ? escapeName(fs.readlinkSync(link, { encoding: 'buffer' })) : name;
};
export const close = (fd: number): void => fs.closeSync(fd);
export const fstat = (fd: number): fs.BigIntStats => fs.fstatSync(fd, { bigint: true });

export const read = (fd: number, buffer: Uint8Array, length: number, position: number): Promise<number> =>
  new Promise((resolve, reject) =>
    fs.read(fd, buffer, 0, length, position, (error, count) => (error ? reject(error) : resolve(count))),
  );
/** Without `position`: after what was written before. */
export const readNow = (fd: number, buffer: Uint8Array, at: number, length: number, position: number): number =>
  fs.readSync(fd, buffer, at, length, position);
export const writev = (fd: number, buffers: readonly Uint8Array[], position: number | null = null): Promise<number> =>
  new Promise((resolve, reject) => fs.writev(fd, buffers, position, (error, count) => (error ? reject(error) : resolve(count))));

export function systemError(code: SystemCode, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}

/** A failed write as the caller may know it; what is not the disk's fault passes as it is. */
export function writeFault(error: unknown, bucket: string): unknown {
  if (isSystemError(error, 'ENOSPC', 'EDQUOT')) {
    return exhausted(`Cannot write to bucket "${bucket}": its disk is full`, {
      reason: 'disk_full',
      hint: 'Free some space',
      cause: error,
    });
  }
  if (isSystemError(error, 'EROFS', 'EACCES', 'EPERM')) {
    return permissionDenied(`Cannot write to bucket "${bucket}": its folder is read-only for Cellar`, {
      reason: 'read_only',
      cause: error,
    });
  }
  if (isSystemError(error, 'EXDEV')) {
    return failedPrecondition(
      `Cannot write to bucket "${bucket}": the target lies on another file system than the bucket's folder`,
      {
        reason: 'other_file_system',
        hint: 'Declare the mounted folder as a datasource of its own',
        cause: error,
      },
    );
  }
  return error;
}

export const noSuchKey = (key: string): Fault =>
  new Fault(Code.NotFound, `The specified key does not exist: ${JSON.stringify(key)}`, { reason: 'no_such_key' });

/** `undefined` when nothing is there. */
export async function statsOf(path: string): Promise<fs.BigIntStats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

export const removeIfThere = (path: string): Promise<boolean> => isRemoved(unlink(path));

/** False when there was nothing to remove. */
export async function isRemoved(removal: Promise<void>): Promise<boolean> {
  try {
    await removal;
    return true;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
}
