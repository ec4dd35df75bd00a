import type { BigIntStats } from 'node:fs';
import { invalidArgument } from '#kernel/fault.ts';
import { isSystemError } from '#lib/system-error.ts';
import type { ObjectStore } from '../store/store.ts';
import { type Directory, openDirectory } from './directory.ts';
import { lstat, mkdir, rmdir } from './fs.ts';
import { stampOf } from './stamp.ts';

/** The folders of one bucket: found, made on the way to a write, and taken away again when nothing needs them. */
export interface FolderPlace {
  /** The open folder, or `undefined` when there is none. */
  find(folders: readonly string[]): Promise<Directory | undefined>;
  /** The open folder, with all that are missing made. Errors: `key_conflict` when a file or link is in the way. */
  ensure(folders: readonly string[]): Promise<Directory>;
  /** Removes the folder and those above it while they are empty and were made only on the way to a write; gives their keys. */
  prune(folders: readonly string[]): Promise<readonly string[]>;
}

export function createFolderPlace(bucket: string, root: string, store: ObjectStore): FolderPlace {
  async function find(folders: readonly string[]): Promise<Directory | undefined> {
    try {
      return await openDirectory(root, folders);
    } catch (error) {
      if (folders.length > 0 && isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
      throw error;
    }
  }

  async function ensure(folders: readonly string[]): Promise<Directory> {
    try {
      return await openDirectory(root, folders);
    } catch (error) {
      if (folders.length === 0 || !isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw error;
      if (!isSystemError(error, 'ENOENT')) throw conflict(folders, error);
    }
    using parent = await ensure(folders.slice(0, -1));
    await makeImplicit(parent, folders);
    try {
      return await openDirectory(root, folders);
    } catch (error) {
      throw isSystemError(error, 'ENOTDIR', 'ELOOP') ? conflict(folders, error) : error;
    }
  }

  async function makeImplicit(parent: Directory, folders: readonly string[]): Promise<void> {
    const path = parent.at(folders.at(-1)!);
    try {
      await mkdir(path);
    } catch (error) {
      if (isSystemError(error, 'EEXIST')) return;
      throw error;
    }
    await parent.sync();
    let stats: BigIntStats;
    try {
      stats = await lstat(path);
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return;
      throw error;
    }
    await store.put(bucket, {
      key: keyOf(folders),
      stamp: stampOf(stats),
      kind: 'implicit',
      etag: '',
      headers: {},
      checksums: {},
    });
  }

  async function prune(folders: readonly string[]): Promise<readonly string[]> {
    if (folders.length === 0) return [];
    using parent = await find(folders.slice(0, -1));
    if (!parent) return [];
    const key = keyOf(folders);
    const path = parent.at(folders.at(-1)!);
    try {
      const row = await store.find(bucket, key, stampOf(await lstat(path)));
      if (row?.kind !== 'implicit') return [];
      await rmdir(path);
    } catch (error) {
      if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST', 'EACCES', 'EPERM')) return [];
      throw error;
    }
    await parent.sync();
    await store.remove(bucket, key);
    return [key, ...(await prune(folders.slice(0, -1)))];
  }

  return { find, ensure, prune };

  function conflict(folders: readonly string[], cause: unknown): Error {
    return invalidArgument(`Cannot write below ${JSON.stringify(folders.join('/'))}: it is a file or a link, not a folder`, {
      reason: 'key_conflict',
      cause,
    });
  }
}

const keyOf = (folders: readonly string[]): string => `${folders.join('/')}/`;
