import { compareUtf8 } from '#lib/utf8-order.ts';

/** A file or folder as storage or index have it. Paths are relative to the datasource; the empty path is its root. */
export interface TreeEntry {
  readonly path: string;
  readonly isFolder: boolean;
  /** Unit: bytes; 0 for folders. */
  readonly sizeBytes: number;
  /** Microseconds since 1970: as exact as a number can be, and finer than the clocks of file systems tick. */
  readonly mtimeUs: number;
  /** 0 where storage has none. */
  readonly inode: number;
  /** Where storage says it: of a file. */
  readonly etag?: string;
}

/** The place of an entry in tree order: the bytes of its path, with a slash behind folders. */
export function treeKey({ path, isFolder }: Pick<TreeEntry, 'path' | 'isFolder'>): string {
  return isFolder ? `${path}/` : path;
}

export function compareEntries(a: Pick<TreeEntry, 'path' | 'isFolder'>, b: Pick<TreeEntry, 'path' | 'isFolder'>): number {
  return compareUtf8(treeKey(a), treeKey(b));
}

/** True when both say the same of one path; a folder's time is no difference, since it follows from its content. */
export function isSameEntry(a: TreeEntry, b: TreeEntry): boolean {
  if (a.isFolder !== b.isFolder || a.inode !== b.inode) return false;
  return a.isFolder || (a.sizeBytes === b.sizeBytes && a.mtimeUs === b.mtimeUs && hasSameEtag(a, b));
}

function hasSameEtag(a: TreeEntry, b: TreeEntry): boolean {
  // A server that keeps whole seconds may have another content with the same size and time.
  return a.inode !== 0 || a.etag === undefined || b.etag === undefined || a.etag === b.etag;
}

/** True when an entry that is gone and one that is new are the same file or folder under another name. */
export function isMoved(gone: TreeEntry, found: TreeEntry): boolean {
  // File systems give the inode of a removed file to the next one, so the rest has to agree as well; renaming changes none of it.
  return gone.inode !== 0 && isSameEntry(gone, found) && gone.mtimeUs === found.mtimeUs;
}
