import { lstatSync, type Stats } from 'node:fs';
import { isEscaped } from '#lib/escaped-name.ts';
import { modifyTimeUs } from '#lib/file-etag.ts';
import { compareUtf8, sortUtf8 } from '#lib/utf8-order.ts';
import type { Volume } from '../../volume.ts';
import { isMissing } from './disk-errors.ts';
import { diskPath } from './disk-path.ts';
import { packFile } from './packed-files.ts';
import type { SkipReason } from './pass-progress.ts';
import { toldInode } from './told-inode.ts';

/** A folder as its parent's listing has it. */
export interface ListedFolder {
  readonly path: string;
  readonly mtimeUs: number;
  /** As the index has it: 0 where inodes are made up. */
  readonly inode: number;
  /** With its device, what tells it from other folders while it is in use. */
  readonly node: number;
  readonly device: number;
  /** Of the folder's own entry, which says roughly how many names it has. */
  readonly sizeBytes: number;
  /** It may be no folder at all: it cannot be looked at. */
  readonly isUnseen?: true;
}

export interface DiskFolderOptions {
  readonly root: string;
  readonly onSkip: (path: string, reason: SkipReason) => void;
  /** Files are no part of the tree here. */
  readonly isWithoutFiles: boolean;
  readonly volume: Pick<Volume, 'hasInodes'>;
}

export interface FileSlice {
  readonly count: number;
  readonly files: string;
  /** Names that are there and cannot be looked at. */
  readonly unread: readonly string[];
  readonly escaped: readonly string[];
}

/** What the index takes; a longer path would be refused with all that is told beside it. */
const pathBytesMax = 4096;

/** One folder being read: its files in the order of their names, a slice at a time, and after that its folders. */
export class DiskFolder {
  readonly listed: ListedFolder;
  readonly #options: DiskFolderOptions;
  readonly #prefix: string;
  readonly #names: readonly string[];
  readonly #folders: ListedFolder[] = [];
  readonly #isPlain: boolean;
  #at = 0;

  /** `names` are in any order and become the folder's. */
  constructor(listed: ListedFolder, names: string[], options: DiskFolderOptions) {
    this.listed = listed;
    this.#options = options;
    this.#prefix = listed.path === '' ? '' : `${listed.path}/`;
    this.#names = sortUtf8(names);
    this.#isPlain = !isEscaped(listed.path);
  }

  /** The next files up to a name, that itself included, `countMax` names at most; all that are left when there is none. */
  next(upTo: string | undefined, countMax: number): FileSlice {
    const end = Math.min(upTo === undefined ? this.#names.length : this.#endOf(upTo), this.#at + countMax);
    const { root, isWithoutFiles, volume } = this.#options;
    const start = `${root}/${this.#prefix}`;
    const unread: string[] = [];
    const escaped: string[] = [];
    let files = '';
    let count = 0;
    for (; this.#at < end; this.#at++) {
      const name = this.#names[this.#at] as string;
      const isPlain = this.#isPlain && !isEscaped(name);
      const stats = this.#look(name, isPlain ? start + name : diskPath(root, this.#prefix + name), unread);
      if (!stats) continue;
      if (!isPlain) escaped.push(this.#prefix + name);
      if (stats.isDirectory()) {
        this.#folders.push(listFolder(this.#prefix + name, stats, volume));
      } else if (!stats.isFile()) {
        this.#options.onSkip(this.#prefix + name, stats.isSymbolicLink() ? 'link' : 'special');
      } else if (!isWithoutFiles) {
        files += packFile(
          { name, sizeBytes: stats.size, mtimeUs: modifyTimeUs(stats), inode: volume.hasInodes ? stats.ino : 0 },
          count === 0,
        );
        count += 1;
      }
    }
    return { count, files, unread, escaped };
  }

  get isRead(): boolean {
    return this.#at === this.#names.length;
  }

  isReadTo(name: string): boolean {
    const next = this.#names[this.#at];
    return next === undefined || compareUtf8(next, name) > 0;
  }

  /** In tree order; complete when all files have been read. */
  get folders(): readonly ListedFolder[] {
    return this.#folders.sort((a, b) => compareUtf8(`${a.path}/`, `${b.path}/`));
  }

  #look(name: string, path: string | Buffer, unread: string[]): Stats | undefined {
    try {
      const stats = lstatSync(path);
      if (name.length < 200 && this.#prefix.length < 1000) return stats;
      if (Buffer.byteLength(this.#prefix + name) <= pathBytesMax) return stats;
      this.#options.onSkip(this.#prefix + name, 'too-long');
    } catch (error) {
      if (isMissing(error)) return undefined;
      this.#options.onSkip(this.#prefix + name, 'unreadable');
      unread.push(name);
      // It may be a folder.
      this.#folders.push({ path: this.#prefix + name, mtimeUs: 0, inode: 0, node: 0, device: 0, sizeBytes: 0, isUnseen: true });
    }
    return undefined;
  }

  /** Where names after this one begin. */
  #endOf(name: string): number {
    let [low, high] = [this.#at, this.#names.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareUtf8(this.#names[middle] as string, name) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export function listFolder(path: string, stats: Stats, volume: Pick<Volume, 'hasInodes'>): ListedFolder {
  const { ino: node, dev: device, size: sizeBytes } = stats;
  return { path, mtimeUs: modifyTimeUs(stats), inode: toldInode(path, stats, volume), node, device, sizeBytes };
}
