import { accessSync, constants, type Stats, statSync } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { modifyTimeUs } from '#lib/file-etag.ts';
import type { Volume } from '../../volume.ts';
import { folderMissing } from './decisions.ts';
import type { TreeEntry } from './entry.ts';
import { isPrivate } from './private-path.ts';
import type { Mounts, Root } from './storage.ts';
import { toldInode } from './told-inode.ts';

export interface RootFolderOptions {
  readonly mounts: Mounts;
  readonly volume: Pick<Volume, 'hasInodes'>;
  /** Called before the folder is taken for the one to compare. */
  readonly onPass: (() => void) | undefined;
}

/**
 * The datasource's folder itself: with its disk it comes, goes, or is another than before. Where inodes are made up, its disk has to do
 * for telling which it is.
 */
export class RootFolder implements Root {
  /** Absolute. */
  readonly #path: string;
  readonly #mounts: Mounts;
  readonly #volume: Pick<Volume, 'hasInodes'>;
  readonly #onPass: (() => void) | undefined;
  /** That of the folder that was compared last; 0: none was. */
  #inode = 0;

  constructor(path: string, { mounts, volume, onPass }: RootFolderOptions) {
    this.#path = path;
    this.#mounts = mounts;
    this.#volume = volume;
    this.#onPass = onPass;
  }

  see(): TreeEntry {
    this.#onPass?.();
    const stats = this.#stats();
    if (!stats) throw folderMissing(this.#path);
    return { path: '', isFolder: true, sizeBytes: 0, mtimeUs: modifyTimeUs(stats), inode: this.#identity(stats) };
  }

  isSame(): boolean {
    const stats = this.#stats();
    return stats !== undefined && (this.#inode === 0 || this.#identity(stats) === this.#inode);
  }

  take(inode: number): boolean {
    const isOther = this.#inode !== 0 && this.#inode !== inode;
    this.#inode = inode;
    return isOther;
  }

  async isEmpty(): Promise<boolean> {
    try {
      for await (const { name } of await opendir(this.#path)) if (!isPrivate(name, 'folder')) return false;
      return true;
    } catch (error) {
      throw folderMissing(this.#path, error);
    }
  }

  async state(): Promise<string> {
    // Missing or unreadable counts as empty: asked again soon, and told in words by the next pass.
    const isEmpty = await this.isEmpty().catch(() => true);
    const stats = this.#stats();
    return `${stats ? this.#identity(stats) : 'nothing'} ${isEmpty} ${this.#mounts.areThere()}`;
  }

  #identity(stats: Stats): number {
    return toldInode('', stats, this.#volume);
  }

  #stats(): Stats | undefined {
    try {
      const stats = statSync(this.#path);
      if (!stats.isDirectory()) return undefined;
      accessSync(this.#path, constants.R_OK | constants.X_OK);
      return stats;
    } catch {
      return undefined; // Whether it is away or cannot be read: it cannot be served, and nothing is concluded from it.
    }
  }
}
