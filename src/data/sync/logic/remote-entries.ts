import { isWithin, parentOf } from '#lib/tree-path.ts';
import type { SkipReason } from './pass-progress.ts';
import { pathOfKey } from './path-of-key.ts';
import type { WalkedEntry } from './storage.ts';

/** One object as the listing of a bucket has it. */
export interface ListedObject {
  readonly key: string;
  readonly sizeBytes: number;
  readonly mtimeUs: number;
  readonly etag: string;
}

export interface RemoteEntriesOptions {
  /** In the order of the keys' bytes. */
  readonly objects: AsyncIterable<readonly ListedObject[]>;
  /** True when there is something below a path. */
  readonly isFolder: (path: string) => Promise<boolean>;
  readonly onSkip: (key: string, reason: SkipReason) => void;
  readonly epoch: () => number;
}

/**
 * The tree that the keys of a bucket make, in tree order: a folder wherever something lies below one, before its content. Of an object
 * `a` beside `a/b` only the folder can be in a tree.
 */
export async function* remoteEntries({
  objects,
  isFolder,
  onSkip,
  epoch,
}: RemoteEntriesOptions): AsyncGenerator<readonly WalkedEntry[]> {
  /** The folders around the last entry, outermost first. */
  const open: string[] = [];
  for await (const piece of objects) {
    const entries: WalkedEntry[] = [];
    for (const [at, { key, sizeBytes, mtimeUs, etag }] of piece.entries()) {
      const path = pathOfKey('', key, {});
      if (path === undefined || path === '') {
        onSkip(key, 'no-path');
        continue;
      }
      const isMarker = key.endsWith('/');
      while (open.length > 0 && !isWithin(path, open.at(-1) ?? '')) open.pop();
      for (const folder of foldersTo(path, isMarker).slice(open.length)) {
        open.push(folder);
        entries.push({ path: folder, isFolder: true, sizeBytes: 0, mtimeUs: 0, inode: 0, epoch: epoch() });
      }
      if (isMarker) continue;
      if (await isFolderToo(key, piece[at + 1]?.key, isFolder)) onSkip(key, 'no-path');
      else entries.push({ path, isFolder: false, sizeBytes, mtimeUs, inode: 0, etag, epoch: epoch() });
    }
    yield entries;
  }
}

/** From the outermost to the one the path lies in, or to itself. */
function foldersTo(path: string, isMarker: boolean): string[] {
  const folders = isMarker ? [path] : [];
  for (let folder = parentOf(path); folder !== ''; folder = parentOf(folder)) folders.unshift(folder);
  return folders;
}

/** Keys between `a` and `a/` begin with `a` and a character before the slash; any other next key tells at once. */
async function isFolderToo(
  key: string,
  next: string | undefined,
  isFolder: (path: string) => Promise<boolean>,
): Promise<boolean> {
  if (next !== undefined && (!next.startsWith(key) || next.charCodeAt(key.length) > slash)) return false;
  if (next?.startsWith(`${key}/`)) return true;
  return isFolder(key);
}

const slash = 0x2f;
