import { folderMissing } from './decisions.ts';
import { isEmptyFolder, look } from './disk.ts';
import type { TreeEntry } from './entry.ts';

/** The datasource's folder itself: with its disk it comes, goes, or is another than before. */
export class RootFolder {
  /** Absolute. */
  readonly path: string;
  /** That of the folder that was compared last; 0: none was. */
  #inode = 0;

  constructor(path: string) {
    this.path = path;
  }

  /** Errors: `folder_missing`. */
  see(): TreeEntry {
    const seen = look(this.path, '');
    if (typeof seen !== 'object' || !seen.isFolder) throw folderMissing(this.path);
    return seen;
  }

  /** True when it is the folder that was compared last. Never rejects. */
  isSame(): boolean {
    const seen = look(this.path, '');
    return typeof seen === 'object' && seen.isFolder && (this.#inode === 0 || seen.inode === this.#inode);
  }

  /** Errors: `folder_missing`, when it is another folder too. */
  assertSame(): void {
    if (!this.isSame()) throw folderMissing(this.path);
  }

  /** Takes the folder for the one that is compared from now on. Result: true when that was another before. */
  take(inode: number): boolean {
    const isOther = this.#inode !== 0 && this.#inode !== inode;
    this.#inode = inode;
    return isOther;
  }

  /** Errors: `folder_missing` when it cannot be read. */
  async isEmpty(): Promise<boolean> {
    try {
      return await isEmptyFolder(this.path);
    } catch (error) {
      throw folderMissing(this.path, error);
    }
  }

  /** True when it is there and holds something. Never rejects. */
  async isFilled(): Promise<boolean> {
    try {
      return !(await isEmptyFolder(this.path));
    } catch {
      return false; // Missing or unreadable: asked again soon, and told in words by the next pass.
    }
  }

  /** A word that changes when the folder comes, goes, is emptied, filled, or replaced by another. Never rejects. */
  async state(): Promise<string> {
    const seen = look(this.path, '');
    return `${typeof seen === 'object' ? seen.inode : seen} ${await this.isFilled()}`;
  }
}
