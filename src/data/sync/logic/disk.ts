import { lstatSync, type Stats, statSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { modifyTimeUs } from '#lib/file-etag.ts';
import type { DatasourceKind } from '../../plan.ts';
import type { Volume } from '../../volume.ts';
import { compareFolders } from './compare-folders.ts';
import { isMissing } from './disk-errors.ts';
import { diskPath } from './disk-path.ts';
import { DiskWalk } from './disk-walk.ts';
import type { DiskMounts } from './mounts.ts';
import { isPrivate } from './private-path.ts';
import { RootFolder } from './root-folder.ts';
import { SpeltNames } from './spelt-names.ts';
import type { CompareOptions, Difference, KnownWalks, Seen, Storage } from './storage.ts';
import { toldInode } from './told-inode.ts';

export interface DiskOptions {
  /** Absolute path of the datasource's folder. */
  readonly root: string;
  readonly kind: DatasourceKind;
  readonly volume: Volume;
  readonly mounts: DiskMounts;
  /** Called before all is compared. */
  readonly onPass?: () => void;
}

/** How many paths are looked at before others get their turn, about a millisecond's worth. */
const pieceSize = 256;

/** A datasource that is a folder, or a folder of buckets. */
export class Disk implements Storage {
  readonly place: string;
  readonly root: RootFolder;
  readonly mounts: DiskMounts;
  readonly #kind: DatasourceKind;
  readonly #volume: Volume;
  readonly #names: SpeltNames;

  constructor({ root, kind, volume, mounts, onPass }: DiskOptions) {
    this.place = root;
    this.mounts = mounts;
    this.root = new RootFolder(root, { mounts, volume, onPass });
    this.#kind = kind;
    this.#volume = volume;
    this.#names = new SpeltNames(root, volume);
  }

  async look(paths: readonly string[]): Promise<Seen[]> {
    const seen: Seen[] = [];
    for (const path of paths) {
      if (seen.length % pieceSize === pieceSize - 1) await setImmediate();
      seen.push(this.#look(path));
    }
    return seen;
  }

  spell(path: string): string {
    return this.#names.spell(path);
  }

  compare(folder: string, known: KnownWalks, options: CompareOptions): AsyncIterable<readonly Difference[]> {
    const { isConfirmed, onFolder, onSkip, signal } = options;
    const disk = new DiskWalk({
      ...{ root: this.place, kind: this.#kind, volume: this.#volume, mounts: this.mounts },
      ...{ isConfirmed, onFolder, onSkip, isKnown: (paths) => known.hasAny(paths) },
    });
    return compareFolders({ ...options, disk, index: known.folders(folder, signal), folder });
  }

  /** Links, devices and sockets are nothing: they are never followed or served. */
  #look(path: string): Seen {
    if (isPrivate(path, this.#kind)) return 'nothing';
    try {
      // The folder itself may be given by a link; below it none is followed.
      const stats = path === '' ? statSync(this.place) : lstatSync(diskPath(this.place, path));
      const isOutside = this.#kind === 'buckets' && !path.includes('/') && !stats.isDirectory();
      // Under another name, what is there is not at this path.
      return isOutside || !this.#names.isListed(path) ? 'nothing' : toEntry(path, stats, this.#volume);
    } catch (error) {
      return isMissing(error) ? 'nothing' : 'unknown';
    }
  }
}

export function toEntry(path: string, stats: Stats, volume: Volume): Seen {
  const isFolder = stats.isDirectory();
  if (!isFolder && !stats.isFile()) return 'nothing';
  return {
    path,
    isFolder,
    sizeBytes: isFolder ? 0 : stats.size,
    mtimeUs: modifyTimeUs(stats),
    inode: toldInode(path, stats, volume),
  };
}
