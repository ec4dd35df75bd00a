import type { Session } from '#kernel/database/database.ts';

/** A 64-bit integer as the database gives it: a number while that is exact. */
export type Integer = number | bigint;

/** What storage says of a file or folder, in the store's units. */
export interface StoredEntry {
  readonly isFolder: boolean;
  readonly sizeBytes: number;
  /** Microseconds since 1970. */
  readonly mtimeUs: number;
  readonly inode: Integer;
  /** Empty: not known. */
  readonly etag: string;
}

/** A file or folder of the tree; `path` is relative to the datasource. */
export interface StoredNode extends StoredEntry {
  readonly id: number;
  readonly path: string;
  /** Files below, at any depth; `sizeBytes` of a folder is their sum. */
  readonly files: number;
}

export type TreeChange =
  | { readonly kind: 'put'; readonly path: string; readonly entry: StoredEntry }
  | { readonly kind: 'delete'; readonly path: string }
  | { readonly kind: 'move'; readonly path: string; readonly newPath: string }
  | { readonly kind: 'copy'; readonly path: string; readonly newPath: string };

/**
 * A change that was made, as the tree was right after it; of a deletion as it was before. `filled`: files came into this folder and are not
 * told one by one. `reset`: what was known of the tree is void.
 */
export interface TreeEvent {
  readonly kind: 'created' | 'updated' | 'deleted' | 'moved' | 'copied' | 'filled' | 'reset';
  readonly node: StoredNode;
  /** Of a move. */
  readonly oldPath?: string;
  /** How many files came; of `filled`. */
  readonly came?: number;
}

export interface ApplyOptions {
  /** Position of storage's change stream that the changes cover; absent: unchanged. */
  readonly sourcePosition?: number | undefined;
  /** New files are told by `filled` events of their folders only. */
  readonly isQuiet?: boolean;
}

export interface WalkOptions {
  /** Goes on after this place, see `WalkedPiece`; absent: from the start. */
  readonly after?: string;
  /** Only folders: several times as fast. */
  readonly onlyFolders?: boolean;
}

export interface WalkedPiece {
  readonly nodes: readonly StoredNode[];
  /** The place of the last of them: its path, with a slash behind a folder's. */
  readonly place: string;
}

export interface TreeState {
  /** Made once with the tables; part of every id, so that ids of a rebuilt index are never taken for those of the old one. */
  readonly tag: string;
  readonly sourcePosition: number;
}

export interface TreeTotals {
  readonly files: number;
  /** Without the root. */
  readonly folders: number;
  readonly sizeBytes: number;
}

export type ListOrder = 'name' | 'size' | 'time';

export interface ListRequest {
  readonly order: ListOrder;
  readonly isDescending: boolean;
  /** The last entry of the page before. */
  readonly after: ListPlace | undefined;
  readonly limit: number;
}

/** Where an entry stands in a listing. Names of folders end with a slash here. */
export interface ListPlace {
  /** Size or time; 0 when ordered by name. */
  readonly value: number;
  readonly name: string;
}

/**
 * One datasource's tree. Paths are relative to it, without slashes at their ends; the empty path is the root, which is always there.
 * Errors: those of the database.
 */
export interface TreeStore {
  /** Makes the root when the tables are new. Repeats safely. */
  prepare(tag: string): Promise<void>;
  state(): Promise<TreeState>;
  totals(): Promise<TreeTotals>;
  find(path: string): Promise<StoredNode | undefined>;
  /** What lies directly in a folder: folders first by name, mixed by size or time. */
  list(folder: StoredNode, request: ListRequest): Promise<readonly StoredNode[]>;
  /**
   * Everything below a folder in tree order, in pieces of bounded size; changes made meanwhile may be seen or not. Sums of folders are not
   * asked for: they are 0.
   */
  walk(folder: StoredNode, options?: WalkOptions): AsyncIterable<WalkedPiece>;
  /**
   * Makes changes in order, all or none, in the caller's transaction when it is one. Result: what really changed, one event each;
   * a deleted or moved folder has one event for all that is in it. A put that says what is known already changes nothing; one that only
   * brings a folder's time or a file's etag is kept without an event.
   */
  apply(session: Session, changes: readonly TreeChange[], options?: ApplyOptions): Promise<readonly TreeEvent[]>;
}
