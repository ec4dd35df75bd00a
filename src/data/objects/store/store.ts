import type { Checksums, ObjectHeaders } from '#s3/backend.ts';

/**
 * What is known about one state of one file or folder.
 *
 * `object`: a file that was written through us. `marker`: a folder that somebody asked for; it stays when it becomes empty.
 * `implicit`: a folder that a write made on its way; it goes with its last object. Keys of folders end with `/`.
 */
export interface ObjectRow {
  readonly key: string;
  /** Tells the states of a file apart; a row counts only while the file on disk has the same stamp. */
  readonly stamp: string;
  readonly kind: 'object' | 'marker' | 'implicit';
  readonly etag: string;
  readonly headers: ObjectHeaders;
  readonly checksums: Checksums;
}

/**
 * Metadata of objects, beside the files themselves.
 *
 * Rows are found by key and stamp together, so the row of a new state is written before the file is and the rows of older
 * states are pruned after: a crash in between leaves the old file with its old row. Every verb is atomic and may be repeated.
 * Errors: those of the database.
 */
export interface ObjectStore {
  find(bucket: string, key: string, stamp: string): Promise<ObjectRow | undefined>;
  /** Rows of all states of the given keys, in no order. */
  findMany(bucket: string, keys: readonly string[]): Promise<readonly ObjectRow[]>;
  hasRows(bucket: string): Promise<boolean>;
  put(bucket: string, row: ObjectRow): Promise<void>;
  /** Removes the rows of a key except those with this stamp. */
  prune(bucket: string, key: string, stamp: string): Promise<void>;
  remove(bucket: string, key: string): Promise<void>;
  /** Removes all rows whose key starts with `prefix`, which ends with `/`. */
  removeTree(bucket: string, prefix: string): Promise<void>;
  /** Gives the rows of a key another key; rows that were there are removed. */
  move(bucket: string, from: string, to: string): Promise<void>;
  /** The same for all keys that start with `from`; both end with `/`. */
  moveTree(bucket: string, from: string, to: string): Promise<void>;
}
