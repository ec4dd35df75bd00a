import type { LabelledFolder } from './labels.ts';
import type { Integer, StoredNode } from './store.ts';

/** Folders and files as their tables have them, and the columns to select them by. */

/** Of the root, which has no parent (0) and no name. */
export const rootId = 1;

/** The name ends with a slash; the root's is empty. */
export interface FolderRow extends LabelledFolder {
  readonly name: string;
  readonly mtimeUs: number;
  readonly inode: Integer;
  /** Files directly in it, when the row was read. */
  readonly ownFiles: number;
  /** 1 for a large folder, whose files are in the indexes by size and time; else 0. */
  readonly isRanked: number;
}

export interface FileRow {
  readonly id: number;
  readonly name: string;
  readonly size: number;
  readonly mtimeUs: number;
  readonly inode: Integer;
  readonly etag: string;
}

/** What files add up to. */
export interface FolderSums {
  readonly files: number;
  readonly bytes: number;
}

export const folderColumns =
  'id, parent, name, pos, last, mtime_us as "mtimeUs", inode, own_files as "ownFiles", is_ranked as "isRanked"';
export const fileColumns = 'id, name, size, mtime_us as "mtimeUs", inode, etag';
/** Of a folder and all below; parameters: its first and last label. */
export const sumsBelow = 'select sum(own_files) as files, sum(own_bytes) as bytes from folders where pos between $1 and $2';

const noFiles: FolderSums = { files: 0, bytes: 0 };

/** `sums` are of all files below. */
export function folderNode(
  { id, mtimeUs, inode }: Pick<FolderRow, 'id' | 'mtimeUs' | 'inode'>,
  path: string,
  { files, bytes }: FolderSums = noFiles,
): StoredNode {
  return { id, path, isFolder: true, files, sizeBytes: bytes, mtimeUs, inode, etag: '' };
}

export function fileNode({ id, size, mtimeUs, inode, etag }: FileRow, path: string): StoredNode {
  return { id, path, isFolder: false, sizeBytes: size, mtimeUs, inode, etag, files: 0 };
}
