import { accessSync, constants, type Stats, statSync } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { modifyTimeUs } from '#lib/file-etag.ts';
import { folderMissing } from './decisions.ts';
import type { TreeEntry } from './entry.ts';
import { isPrivate } from './private-path.ts';
import type { Mounts, Root } from './storage.ts';

/** The datasource's folder itself: with its disk it comes, goes, or is another than before. */
export class RootFolder implements Root {
  /** Absolute. */
  readonly #path: string;
  readonly #mounts: Mounts;
  /** That of the folder that was compared last; 0: none was. */
  #inode = 0;

  constructor(path: string, mounts: Mounts) {
    this.#path = path;
    this.#mounts = mounts;
  }

  see(): TreeEntry {
    const stats = this.#stats();
    if (!stats) throw folderMissing(this.#path);
    return { path: '', isFolder: true, sizeBytes: 0, mtimeUs: modifyTimeUs(stats), inode: stats.ino };
  }

  isSame(): boolean {
    const stats = this.#stats();
    return stats !== undefined && (this.#inode === 0 || stats.ino === this.#inode);
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
    return `${this.#stats()?.ino ?? 'nothing'} ${isEmpty} ${this.#mounts.areThere()}`;
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
