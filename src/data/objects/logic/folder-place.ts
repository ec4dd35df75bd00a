import type { BigIntStats } from 'node:fs';
import { invalidArgument } from '#kernel/fault.ts';
import type { KeyedLock } from '#lib/keyed-lock.ts';
import { isSystemError } from '#lib/system-error.ts';
import type { ObjectStore } from '../store/store.ts';
import { type Directory, openDirectory } from './directory.ts';
import { lstat, mkdir, rename, rmdir } from './fs.ts';
import { stampOf } from './stamp.ts';

export interface FolderPlaceOptions {
  readonly bucket: string;
  readonly root: string;
  readonly store: ObjectStore;
  readonly locks: KeyedLock;
  readonly newId: () => string;
  /** The folder for what is not whole yet. */
  readonly temporary: () => Promise<Directory>;
}

/** The folders of one bucket: found, made on the way to a write, and taken away again when nothing needs them. */
export interface FolderPlace {
  /** The open folder, or `undefined` when there is none. */
  find(folders: readonly string[]): Directory | undefined;
  /** The open folder, with all that are missing made. Errors: `key_conflict` when a file or link is in the way, or no folder can have the name. */
  ensure(folders: readonly string[]): Promise<Directory>;
  /** Removes the folder and those above it while they are empty and were made only on the way to a write; gives their keys. */
  prune(folders: readonly string[]): Promise<readonly string[]>;
}

export function createFolderPlace({ bucket, root, store, locks, newId, temporary }: FolderPlaceOptions): FolderPlace {
  function find(folders: readonly string[]): Directory | undefined {
    try {
      return openDirectory(root, folders);
    } catch (error) {
      if (folders.length > 0 && isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG')) return undefined;
      throw error;
    }
  }

  async function ensure(folders: readonly string[]): Promise<Directory> {
    try {
      return openDirectory(root, folders);
    } catch (error) {
      if (folders.length === 0 || isSystemError(error, 'EACCES')) throw error;
      if (!isSystemError(error, 'ENOENT')) throw conflict(folders, error);
    }
    using parent = await ensure(folders.slice(0, -1));
    await locks.run(`making ${keyOf(folders)}`, () => makeImplicit(parent, folders));
    try {
      return openDirectory(root, folders);
    } catch (error) {
      throw isSystemError(error, 'ENOTDIR', 'ELOOP') ? conflict(folders, error) : error;
    }
  }

  /** The row comes first, so that a folder is never without it: made elsewhere, then moved to its place. */
  async function makeImplicit(parent: Directory, folders: readonly string[]): Promise<void> {
    const path = parent.at(folders.at(-1)!);
    if (await isThere(path)) return;
    using aside = await temporary();
    const made = aside.at(newId());
    await mkdir(made);
    try {
      const stamp = stampOf(await lstat(made));
      const row = { key: keyOf(folders), stamp, kind: 'implicit', etag: '', headers: {}, checksums: {} } as const;
      await store.write(bucket, [{ kind: 'put', row }]);
      await rename(made, path);
    } catch (error) {
      await rmdir(made);
      if (isSystemError(error, 'EEXIST', 'ENOTEMPTY', 'ENOTDIR')) return;
      throw isSystemError(error, 'ENAMETOOLONG', 'EILSEQ', 'EINVAL') ? conflict(folders, error) : error;
    }
    await parent.sync();
  }

  async function prune(folders: readonly string[]): Promise<readonly string[]> {
    if (folders.length === 0) return [];
    using parent = find(folders.slice(0, -1));
    if (!parent) return [];
    const key = keyOf(folders);
    const path = parent.at(folders.at(-1)!);
    let stats: BigIntStats;
    try {
      stats = await lstat(path);
      const row = await store.find(bucket, key, stampOf(stats));
      if (row?.kind !== 'implicit') return [];
      await rmdir(path);
    } catch (error) {
      if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST', 'EACCES', 'EPERM')) return [];
      throw error;
    }
    await parent.sync();
    await store.write(bucket, [{ kind: 'remove_state', key, stamp: stampOf(stats) }]);
    return [key, ...(await prune(folders.slice(0, -1)))];
  }

  return { find, ensure, prune };
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
}

function conflict(folders: readonly string[], cause: unknown): Error {
  return invalidArgument(`Cannot write below ${JSON.stringify(folders.join('/'))}: it is a file or a link, not a folder`, {
    reason: 'key_conflict',
    cause,
  });
}

const keyOf = (folders: readonly string[]): string => `${folders.join('/')}/`;
