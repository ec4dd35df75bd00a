import * as fs from 'node:fs';
import { promisify } from 'node:util';
import { Code, exhausted, Fault, failedPrecondition, permissionDenied } from '#kernel/fault.ts';
import { isSystemError, type SystemCode } from '#lib/system-error.ts';

/*
 * File system calls as promises. Made from the callback forms: `node:fs/promises` is slower for small files and has long
 * tails (bench: small objects on disk).
 */
export const open = promisify(fs.open);
export const fsync = promisify(fs.fsync);
export const fdatasync = promisify(fs.fdatasync);
export const mkdir = promisify(fs.mkdir);
export const rename = promisify(fs.rename);
export const link = promisify(fs.link);
export const copyFile = promisify(fs.copyFile);
export const unlink = promisify(fs.unlink);
export const rmdir = promisify(fs.rmdir);
export const remove = promisify(fs.rm);
export const readdir = promisify(fs.readdir);
export const realpath = promisify(fs.realpath.native);
export const readFile = promisify(fs.readFile);
export const ftruncate = promisify(fs.ftruncate);
export const futimes = promisify(fs.futimes);

/** With 64-bit integers, since times in nanoseconds and inodes do not fit a number. */
export const lstat = (path: string): Promise<fs.BigIntStats> =>
  new Promise((resolve, reject) => fs.lstat(path, { bigint: true }, (error, stats) => (error ? reject(error) : resolve(stats))));

// The kernel answers these from memory; a trip to another thread would cost many times more.
/** `undefined` when nothing is there. */
export const lookAt = (path: string): fs.BigIntStats | undefined => {
  try {
    return fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    if (isSystemError(error, 'ENOTDIR', 'ENAMETOOLONG')) return undefined;
    throw error;
  }
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
