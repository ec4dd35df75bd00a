import type { BigIntStats } from 'node:fs';
import { invalidArgument } from '#kernel/fault.ts';
import type { KeyedLock } from '#lib/keyed-lock.ts';
import { isSystemError } from '#lib/system-error.ts';
import type { Volume } from '../../volume.ts';
import type { ObjectStore } from '../store/store.ts';
import { type Directory, openDirectory } from './directory.ts';
import { lstat, mkdir, rename, rmdir } from './fs.ts';
import type { Spelling } from './spelling.ts';
import { stampOf, statsOn } from './stamp.ts';

export interface FolderPlaceOptions {
  readonly bucket: string;
  readonly root: string;
  readonly store: ObjectStore;
  readonly locks: KeyedLock;
  readonly newId: () => string;
  /** The folder for what is not whole yet. */
  readonly temporary: () => Promise<Directory>;
  readonly volume: () => Volume;
  readonly spelling: Spelling;
}

/** The folders of one bucket: found, made on the way to a write, and taken away again when nothing needs them. */
export interface FolderPlace {
  /** The open folder, or `undefined` when there is none of exactly this name. */
  find(folders: readonly string[]): Directory | undefined;
  /**
   * The open folder, with all that are missing made. Errors: `key_conflict` when a file or link is in the way, a folder that the volume
   * takes for the same, or no folder can have the name.
   */
  ensure(folders: readonly string[]): Promise<Directory>;
  /** Removes the folder and those above it while they are empty and were made only on the way to a write; gives their keys. */
  prune(folders: readonly string[]): Promise<readonly string[]>;
}

export function createFolderPlace(options: FolderPlaceOptions): FolderPlace {
  const { bucket, root, store, locks, newId, temporary, volume, spelling } = options;

  function find(folders: readonly string[]): Directory | undefined {
    try {
      return exactly(folders, openDirectory(root, folders));
    } catch (error) {
      if (folders.length > 0 && isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EINVAL', 'EILSEQ'))
        return undefined;
      throw error;
    }
  }

  /** The folder itself when it has exactly these names; else it is closed. */
  function exactly(folders: readonly string[], directory: Directory): Directory | undefined {
    if (spelling.isExact(folders)) return directory;
    directory[Symbol.dispose]();
    return undefined;
  }

  async function ensure(folders: readonly string[]): Promise<Directory> {
    const found = open(folders);
    if (found) return found;
    using parent = await ensure(folders.slice(0, -1));
    if (!(await spelling.takes(folders.at(-1) as string))) throw conflict(folders);
    const key = keyOf(folders);
    await locks.run(`making ${spelling.alike(key) ?? key}`, () => makeImplicit(parent, folders));
    try {
      const made = exactly(folders, openDirectory(root, folders));
      if (made) return made;
    } catch (error) {
      throw isSystemError(error, 'ENOTDIR', 'ELOOP') ? conflict(folders, error) : error;
    }
    throw conflict(folders);
  }

  /** `undefined` when nothing is there. */
  function open(folders: readonly string[]): Directory | undefined {
    let there: Directory;
    try {
      there = openDirectory(root, folders);
    } catch (error) {
      if (folders.length === 0 || isSystemError(error, 'EACCES')) throw error;
      if (isSystemError(error, 'ENOENT')) return undefined;
      throw conflict(folders, error);
    }
    const found = exactly(folders, there);
    if (!found) throw conflict(folders);
    return found;
  }

  /** The row comes first, so that a folder is never without it: made elsewhere, then moved to its place. */
  async function makeImplicit(parent: Directory, folders: readonly string[]): Promise<void> {
    const path = parent.at(folders.at(-1)!);
    if (await isThere(path)) return;
    using aside = await temporary();
    const made = aside.at(newId());
    await mkdir(made);
    try {
      const stamp = stampOf(statsOn(volume(), await lstat(made)));
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
    if (!spelling.isExact(folders)) return [];
    const path = parent.at(folders.at(-1)!);
    let stats: BigIntStats;
    try {
      stats = statsOn(volume(), await lstat(path));
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

function conflict(folders: readonly string[], cause?: unknown): Error {
  const why = 'it is a file or a link, not a folder, or the disk has no such name';
  return invalidArgument(`Cannot write below ${JSON.stringify(folders.join('/'))}: ${why}`, { reason: 'key_conflict', cause });
}

const keyOf = (folders: readonly string[]): string => `${folders.join('/')}/`;
