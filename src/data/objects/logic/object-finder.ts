import { type BigIntStats, constants } from 'node:fs';
import { join } from 'node:path';
import { isSystemError } from '#lib/system-error.ts';
import type { ObjectInfo } from '#s3/backend.ts';
import { keepsNames } from '../../volume.ts';
import type { ObjectRow } from '../store/store.ts';
import type { BucketDisk } from './bucket-disk.ts';
import { assertOpened } from './directory.ts';
import { close, lookAt, openNow } from './fs.ts';
import { hardPath, type KeyPath, plainPath } from './key-path.ts';
import { describe } from './object-info.ts';
import { stampOf } from './stamp.ts';

/**
 * The current object of a key: a file at its place, a folder that is an object (it has no content), or the content of a hard key in our
 * own folder.
 */
export interface FoundObject {
  readonly key: string;
  readonly kind: 'file' | 'folder' | 'hard';
  readonly path: KeyPath;
  readonly stats: BigIntStats;
  readonly stamp: string;
  readonly row: ObjectRow | undefined;
}

/** `fd` is open; whoever asked closes it. A folder has none. */
export interface OpenObject extends FoundObject {
  readonly fd: number | undefined;
}

/** What version an object is, in a bucket that is or was versioned. */
export const versionIdOf = ({ row }: FoundObject): string => row?.versionId ?? 'null';

/** Says what is at the keys of one bucket. */
export class ObjectFinder {
  readonly #disk: BucketDisk;

  constructor(disk: BucketDisk) {
    this.#disk = disk;
  }

  /** For one who reads: where a folder is just being written to, a row is enough to know a file by its name. */
  async open(key: string): Promise<OpenObject | undefined> {
    return await this.#open(key, true);
  }

  async #open(key: string, isReading: boolean): Promise<OpenObject | undefined> {
    const path = plainPath(key);
    if (path && !path.isFolder) {
      const file = await this.#openFile(key, path, 'file');
      if (file && this.#isOwn(file, isReading)) return file;
      if (file) close(file.fd);
      return await this.#openHard(key);
    }
    return (await this.#openHard(key)) ?? (path && (await this.#folder(key, path)));
  }

  /** For one who decides by it. */
  async find(key: string): Promise<FoundObject | undefined> {
    const found = await this.#open(key, false);
    if (found?.fd !== undefined) close(found.fd);
    return found;
  }

  /** Of what lies at a key's place, whether that is an object or not; empty for nothing. */
  stampAt(key: string): string {
    const path = plainPath(key);
    const names = path && [...path.folders, path.name];
    const isOwn = names && this.#disk.spelling.isExact(names);
    const stats = isOwn ? this.#disk.lookAt(join(this.#disk.root, ...names)) : undefined;
    if (path && stats && (path.isFolder ? stats.isDirectory() : stats.isFile()) && !(path.isFolder && this.#disk.hasHardKeys)) {
      return stampOf(stats);
    }
    const hard = hardPath(key);
    const hardStats = this.#disk.lookAt(join(this.#disk.root, ...hard.folders, hard.name));
    return hardStats ? stampOf(hardStats) : stats?.isDirectory() && path?.isFolder ? stampOf(stats) : '';
  }

  infoOf({ key, stats, row }: FoundObject): ObjectInfo {
    return describe(key, stats, row, this.#disk.settings.versioning !== undefined);
  }

  /** Whether a file that was opened by its name is listed under that, and not one that the volume takes for the same. */
  #isOwn({ path, row }: FoundObject, isReading: boolean): boolean {
    const { names, spelling, volume } = this.#disk;
    if (keepsNames(volume)) return true;
    if (isReading && row && names.isChanging(path.folders)) return true;
    return spelling.isExact([...path.folders, path.name]);
  }

  async #openHard(key: string): Promise<OpenObject | undefined> {
    if (!this.#disk.hasHardKeys) return undefined;
    const found = await this.#openFile(key, hardPath(key), 'hard');
    if (!found || found.row?.kind === 'hard') return found;
    close(found.fd);
    return undefined;
  }

  async #openFile(key: string, path: KeyPath, kind: 'file' | 'hard'): Promise<(OpenObject & { fd: number }) | undefined> {
    const { root, bucket, store } = this.#disk;
    const isInside = path.folders.length > 0;
    const fd = isInside ? openFile(join(root, ...path.folders, path.name)) : openUnlinked(`${root}/${path.name}`);
    if (fd === undefined) return undefined;
    try {
      const stats = this.#disk.fstat(fd);
      if (!stats.isFile()) return close(fd) ?? undefined;
      const stamp = stampOf(stats);
      const known = await store.find(bucket, key, stamp);
      // Without inodes a file of another program may look like the key's content in our own folder.
      const row = known?.kind === 'hard' && kind === 'file' ? undefined : (known ?? (await this.#recognise(key, fd, stats)));
      return { key, kind, path, stats, stamp, row, fd };
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  /** A file of ours that another program has touched, moved or restored still says how to open it. */
  async #recognise(key: string, fd: number, stats: BigIntStats): Promise<ObjectRow | undefined> {
    const found = await this.#disk.coding?.recognise(fd, Number(stats.size));
    return found && { key, stamp: stampOf(stats), kind: 'object', etag: '', headers: {}, checksums: {}, ...found };
  }

  /** A folder is an object when somebody asked for it, or when others made it and it is empty and would be in no listing otherwise. */
  async #folder(key: string, path: KeyPath): Promise<OpenObject | undefined> {
    const { bucket, names, place, store } = this.#disk;
    const folders = [...path.folders, path.name];
    using directory = place.find(folders);
    if (!directory) return undefined;
    const stats = this.#disk.fstat(directory.fd);
    const stamp = stampOf(stats);
    const row = await store.find(bucket, key, stamp);
    if (row?.kind === 'implicit' || (!row && (await names.of(folders)).length > 0)) return undefined;
    return { key, kind: 'folder', path, stats, stamp, row, fd: undefined };
  }
}

/** `undefined` when there is no file, or a link is on the way. */
export function openFile(path: string): number | undefined {
  const fd = openUnlinked(path);
  if (fd === undefined) return undefined;
  try {
    assertOpened(fd, path);
    return fd;
  } catch (error) {
    close(fd);
    if (isSystemError(error, 'ENOENT', 'ELOOP')) return undefined;
    throw error;
  }
}

/** `undefined` when there is no file or it is a link. What lies right in a bucket's folder needs no more: no other name is on the way to it. */
function openUnlinked(path: string): number | undefined {
  try {
    // Without O_NONBLOCK a named pipe would wait here for its writer.
    return openNow(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    // A socket cannot be opened; a disk that fails says the same of a file.
    const isNoFile = isSystemError(error, 'ENXIO') && !lookAt(path)?.isFile();
    if (isNoFile || isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EINVAL', 'EILSEQ')) return undefined;
    throw error;
  }
}
