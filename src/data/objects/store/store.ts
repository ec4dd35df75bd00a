import type { Checksums, ObjectHeaders, ObjectPart } from '#s3/backend.ts';
import type { Acl, BucketSettings, Owner, Retention, Tags } from '#s3/bucket-settings.ts';
import type { Envelope } from '../encryption/envelope.ts';

/** What is kept of an object besides its bytes. In the database it is JSON, so fields are only ever added; absent ones are not set. */
export interface StoredObject {
  readonly etag: string;
  readonly headers: ObjectHeaders;
  readonly checksums: Checksums;
  /** Absent: the version that is called `null`. */
  readonly versionId?: string;
  readonly tags?: Tags;
  readonly acl?: Acl;
  readonly owner?: Owner;
  readonly retention?: Retention;
  readonly hasLegalHold?: boolean;
  readonly storageClass?: string;
  readonly parts?: readonly ObjectPart[];
  /** Set: the file is sealed. */
  readonly envelope?: Envelope;
  /** What readers get, where the file holds something else of it, such as its sealed form. */
  readonly plainSizeBytes?: number;
}

/**
 * What is known about one state of one file or folder.
 *
 * `object`: a file that was written through us. `hard`: the same, of a key that cannot be a file name or whose place is taken; its file
 * lies in our own folder. `marker`: a folder that somebody asked for; it stays when it becomes empty.
 * `implicit`: a folder that a write made on its way; it goes with its last object. Keys of folders end with `/`.
 */
export interface ObjectRow extends StoredObject {
  readonly key: string;
  /** Tells the states of a file apart; a row counts only while the file on disk has the same stamp. */
  readonly stamp: string;
  readonly kind: 'object' | 'hard' | 'marker' | 'implicit';
}

/**
 * A version of a key that is not the file at the key's place, or a delete marker. While the file at the key's place is of the same
 * version, this row does not count: it is of a change that has not come to its end.
 */
export interface VersionRow extends StoredObject {
  readonly key: string;
  /** `null` (the word) for the one without an id. */
  readonly versionId: string;
  /** Of the versions of one key the newest has the highest; given by the store. */
  readonly order: number;
  readonly isDeleteMarker: boolean;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
}

/** A change that touches disk and rows and has begun: what remains to be done once the file at the key no longer has `stamp`. */
export interface Intent {
  readonly bucket: string;
  /** Empty: the bucket itself is made or removed. */
  readonly key: string;
  /** Of the file at the key's place before the change; empty for none. */
  readonly stamp: string;
  readonly rest: readonly StoreChange[];
}

/** One change of rows. */
export type StoreChange =
  | { readonly kind: 'put'; readonly row: ObjectRow }
  /** Removes the rows of a key except those with this stamp; those of a folder stay. */
  | { readonly kind: 'prune'; readonly key: string; readonly stamp: string }
  /** Removes the rows of a key; those of a folder stay. */
  | { readonly kind: 'remove'; readonly key: string }
  /** The row of one state only. */
  | { readonly kind: 'remove_state'; readonly key: string; readonly stamp: string }
  /** Removes all rows whose key starts with `prefix`, which ends with `/`, but not those of hard keys and versions. */
  | { readonly kind: 'remove_tree'; readonly prefix: string }
  /** Copies the rows of all keys that start with `from`, but not hard ones, to keys that start with `to`; both end with `/`. */
  | { readonly kind: 'copy_tree'; readonly from: string; readonly to: string }
  /** Puts a version above all others of its key; one with the same id is replaced. */
  | { readonly kind: 'put_version'; readonly row: Omit<VersionRow, 'order'> }
  /** What is kept of a version beside its bytes; its order stays. */
  | { readonly kind: 'update_version'; readonly row: VersionRow }
  | { readonly kind: 'remove_version'; readonly key: string; readonly versionId: string }
  /** Puts a delete marker above the versions of a key, when it has any and the newest is none. */
  | { readonly kind: 'mark'; readonly key: string; readonly versionId: string; readonly mtimeMs: number }
  /** The same for every key that starts with `prefix`. */
  | { readonly kind: 'mark_tree'; readonly prefix: string; readonly versionId: string; readonly mtimeMs: number }
  /** Removes all rows of objects and versions. */
  | { readonly kind: 'clear' }
  | { readonly kind: 'begin'; readonly intent: Omit<Intent, 'bucket'> }
  | { readonly kind: 'end'; readonly key: string };

export interface BucketRecord {
  readonly bucket: string;
  readonly createdMs: number;
  readonly settings: BucketSettings;
}

/** A place among the versions of a bucket: after this version, or with no `order` after all versions of the key. */
export interface VersionPlace {
  readonly key: string;
  readonly order?: number | undefined;
}

/**
 * Metadata of objects, beside the files themselves.
 *
 * Rows are found by key and stamp together, so the row of a new state is written before the file is and the rows of older
 * states are pruned after: a crash in between leaves the old file with its old row. Every verb is atomic and may be repeated. Keys are
 * ordered by the bytes of their UTF-8 forms.
 * Errors: those of the database.
 */
export interface ObjectStore {
  find(bucket: string, key: string, stamp: string): Promise<ObjectRow | undefined>;
  /** Rows of all states of the given keys, in no order. */
  findMany(bucket: string, keys: readonly string[]): Promise<readonly ObjectRow[]>;
  /** Rows of all states of the keys from `first` to `last`, both included, in the order of their keys; at most `limit`. */
  range(bucket: string, first: string, last: string, limit: number): Promise<readonly ObjectRow[]>;
  /** Rows of hard keys after `after` that start with `prefix`, in order. */
  hardKeys(bucket: string, prefix: string, after: string, limit: number): Promise<readonly ObjectRow[]>;
  /** Rows of any kind after a key and stamp in order, for one who looks at all of them. */
  after(bucket: string, key: string, stamp: string, limit: number): Promise<readonly ObjectRow[]>;
  hasRows(bucket: string): Promise<boolean>;
  hasVersions(bucket: string): Promise<boolean>;

  /** All of one key, the newest first. */
  versionsOf(bucket: string, key: string): Promise<readonly VersionRow[]>;
  findVersion(bucket: string, key: string, versionId: string): Promise<VersionRow | undefined>;
  /** By key, the newest of a key first; only keys that start with `prefix`. */
  versions(bucket: string, prefix: string, after: VersionPlace, limit: number): Promise<readonly VersionRow[]>;

  /** All changes or none, in their order. */
  write(bucket: string, changes: readonly StoreChange[]): Promise<void>;

  buckets(): Promise<readonly BucketRecord[]>;
  putBucket(record: BucketRecord): Promise<void>;
  /** Removes all rows of a bucket, its settings too. */
  removeBucket(bucket: string): Promise<void>;
  intents(): Promise<readonly Intent[]>;
}
