import type { ByteRange } from '#lib/byte-range.ts';
import type { ChecksumAlgorithm } from '#lib/checksum.ts';
import type { Acl, BucketSettings, Owner, Retention, Tags } from './bucket-settings.ts';

export interface BucketInfo {
  readonly name: string;
  readonly createdMs: number;
  readonly owner: Owner;
}

/** Additional checksums of an object; values are base64, with `-<parts>` at the end when made of the parts' checksums. */
export type Checksums = Readonly<Partial<Record<ChecksumAlgorithm, string>>>;

/** What a writer says about an object besides its bytes, and gets back on reading. */
export interface ObjectHeaders {
  readonly contentType?: string;
  readonly cacheControl?: string;
  readonly contentDisposition?: string;
  readonly contentEncoding?: string;
  readonly contentLanguage?: string;
  readonly expires?: string;
  readonly websiteRedirect?: string;
  /** `x-amz-meta-*` without the prefix, lower-case names. */
  readonly userMetadata?: Readonly<Record<string, string>>;
}

/** One object, or one version of it. */
export interface ObjectRef {
  readonly bucket: string;
  readonly key: string;
  /** Absent: the current version. `null` (the word) is the version written while the bucket was not versioned. */
  readonly versionId?: string | undefined;
}

/**
 * One line of a listing. `etag` has no quotes; `mtimeMs` is milliseconds since 1970; `sizeBytes` is what readers get, also when less or
 * more lies on disk.
 */
export interface ListedObject {
  readonly key: string;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  readonly etag: string;
  /** Absent: the bucket's owner. */
  readonly owner?: Owner;
  /** Absent: `STANDARD`. */
  readonly storageClass?: string;
  readonly checksums?: Checksums;
}

/** How an object's bytes are encrypted at rest. `keyMd5` is base64 of the MD5 of a key that only the client has. */
export type Encryption =
  | { readonly kind: 'sse_s3' }
  | { readonly kind: 'sse_kms'; readonly keyId: string; readonly context?: string }
  | { readonly kind: 'sse_c'; readonly keyMd5: string };

/** A key that came with a request and is never kept. `key` has 32 bytes. */
export interface CustomerKey {
  readonly key: Uint8Array;
  readonly keyMd5: string;
}

export interface ObjectInfo extends ListedObject {
  readonly headers: ObjectHeaders;
  readonly checksums: Checksums;
  /** Absent in a bucket that never was versioned. */
  readonly versionId?: string;
  readonly tags?: Tags;
  readonly acl?: Acl;
  readonly retention?: Retention;
  readonly hasLegalHold?: boolean;
  readonly encryption?: Encryption;
  /** Of an object made of parts: what each was, in order. */
  readonly parts?: readonly ObjectPart[];
}

export interface ObjectPart {
  readonly partNumber: number;
  readonly sizeBytes: number;
  readonly checksums?: Checksums;
}

export interface ListQuery {
  readonly prefix: string;
  /** Empty: keys are not grouped. */
  readonly delimiter: string;
  /** Only entries that come after this text in the order of their UTF-8 bytes; empty for all. */
  readonly after: string;
  /** Objects and common prefixes together; at least 1. */
  readonly limit: number;
}

export interface ListPage {
  readonly objects: readonly ListedObject[];
  readonly commonPrefixes: readonly string[];
  /** The last entry of this page when there are more: the `after` of the next one. */
  readonly next: string | undefined;
}

export interface VersionQuery extends ListQuery {
  /** With `after` being a key: only versions of that key that are older than this one, and all later keys. */
  readonly afterVersionId?: string | undefined;
}

export interface ListedVersion extends ListedObject {
  readonly versionId: string;
  readonly isLatest: boolean;
  readonly isDeleteMarker: boolean;
}

export interface VersionPage {
  /** By key, the newest of a key first. */
  readonly versions: readonly ListedVersion[];
  readonly commonPrefixes: readonly string[];
  /** `versionId` is absent when the page ended with a common prefix. */
  readonly next: { readonly key: string; readonly versionId?: string } | undefined;
}

/** A stream of bytes that holds a resource; disposing twice or without reading is fine. */
export interface ByteStream extends AsyncIterable<Uint8Array>, AsyncDisposable {}

export interface ObjectContent {
  readonly info: ObjectInfo;
  /** The part that `body` holds; absent: all of it. */
  readonly range: ByteRange | undefined;
  readonly body: Uint8Array | ByteStream;
}

/**
 * The bytes of a write. `bytes` is read once, to its end, and then `verify` is called once; it rejects when the body is not what the
 * sender promised, and nothing may be committed then.
 */
export interface ObjectBody {
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly sizeBytes: number | undefined;
  verify(): Promise<BodyDigest>;
}

export interface BodyDigest {
  readonly md5Hex: string;
  readonly checksums: Checksums;
}

/** Looks at the current object at the moment of the commit and throws when the write must not happen; a delete marker is no object. */
export type WriteCondition = (current: ObjectInfo | undefined) => void;

/** How a write is to be encrypted: like `Encryption`, with the client's own key where it is that. */
export type EncryptionRequest = Exclude<Encryption, { kind: 'sse_c' }> | ({ readonly kind: 'sse_c' } & CustomerKey);

/** What is kept with a new object. Absent fields: none, or the bucket's owner, or `STANDARD`. */
export interface NewObject {
  readonly headers?: ObjectHeaders;
  readonly tags?: Tags | undefined;
  readonly acl?: Acl | undefined;
  readonly owner?: Owner | undefined;
  readonly retention?: Retention | undefined;
  readonly hasLegalHold?: boolean | undefined;
  readonly storageClass?: string | undefined;
  readonly encryption?: EncryptionRequest | undefined;
}

export interface PutOptions extends NewObject {
  /** Only where the key can be a file of a tree: it is not kept apart when something is in its way. Errors: `key_conflict`. */
  readonly isForTree?: boolean | undefined;
  readonly condition?: WriteCondition | undefined;
}

export interface ReadOptions {
  /** Needed for what was written with one. */
  readonly customerKey?: CustomerKey | undefined;
}

/** Throws when what it sees must not be deleted; `undefined` is a delete marker. */
export type DeleteCondition = (found: ObjectInfo | undefined) => void;

export interface DeleteOptions {
  /** Sees the named version, or without one the latest of the key. When there is nothing at all it is not called, and nothing is done. */
  readonly condition?: DeleteCondition | undefined;
}

export interface Deleted {
  /** The version that was deleted or, without one being named, the delete marker that was made; absent in an unversioned bucket. */
  readonly versionId?: string;
  /** True when a delete marker was made, or the named version was one. */
  readonly isDeleteMarker: boolean;
}

export interface CopyOptions extends Omit<NewObject, 'headers' | 'tags'> {
  /** Absent: the headers of the source. */
  readonly headers?: ObjectHeaders | undefined;
  /** Absent: the tags of the source. */
  readonly tags?: Tags | undefined;
  /** Absent: that of the source. */
  readonly checksumAlgorithm?: ChecksumAlgorithm | undefined;
  readonly sourceKey?: CustomerKey | undefined;
  /** Throws when the source must not be copied. */
  readonly sourceCondition?: ((source: ObjectInfo) => void) | undefined;
  readonly condition?: WriteCondition | undefined;
}

/** How the checksum of a whole multipart object is made. */
export interface UploadChecksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly kind: 'composite' | 'full_object';
}

export interface UploadName {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
}

export interface UploadOptions extends NewObject {
  readonly checksum?: UploadChecksum | undefined;
  readonly initiator?: Owner | undefined;
}

export interface UploadInfo {
  readonly key: string;
  readonly uploadId: string;
  readonly initiatedMs: number;
  readonly checksum: UploadChecksum | undefined;
  /** Absent: the bucket's owner. */
  readonly owner?: Owner;
  readonly initiator?: Owner;
  readonly storageClass?: string;
  readonly encryption?: Encryption;
}

export interface PartInfo {
  readonly partNumber: number;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  readonly etag: string;
  readonly checksums: Checksums;
}

export interface CompletedPart {
  readonly partNumber: number;
  readonly etag: string;
  readonly checksums: Checksums;
}

/** `customerKey`: that of the parts, where they have one. */
export interface CompleteOptions extends ReadOptions {
  readonly condition?: WriteCondition | undefined;
  /** What the sender says the whole is. */
  readonly expected?: { readonly checksums?: Checksums; readonly sizeBytes?: number } | undefined;
}

/** What may be changed of an object without writing it anew. `undefined` takes it away; what is absent stays. */
export interface ObjectChanges {
  readonly tags?: Tags | undefined;
  readonly acl?: Acl | undefined;
  readonly retention?: Retention | undefined;
  readonly hasLegalHold?: boolean | undefined;
}

/**
 * What the S3 protocol needs from whatever keeps the objects.
 *
 * Every verb throws a `Fault` whose reason is one of the words in `errors.ts`: `no_such_bucket`, `bucket_exists`, `bucket_not_empty`,
 * `no_such_key`, `no_such_version`, `delete_marker` (reading one; its details carry `versionId`), `no_such_upload`, `invalid_part`, `invalid_part_order`, `entity_too_small`,
 * `key_too_long`, `read_only`, `disk_full`, `customer_key_missing`, `customer_key_wrong`, `no_such_kms_key`.
 * Every key of 1 to 1,024 bytes of UTF-8 is a good one. A write is visible only when whole, and acknowledged only when durable. Of several writers of one
 * key the last to commit wins; in a versioned bucket each is kept.
 */
export interface Backend {
  listBuckets(): Promise<readonly BucketInfo[]>;
  headBucket(bucket: string): Promise<BucketInfo>;
  /** Errors: `bucket_exists`; `permission_denied` where buckets are declared and not made. */
  createBucket(bucket: string, settings: BucketSettings): Promise<void>;
  /** Errors: `bucket_not_empty` while there is any object, version or delete marker. */
  deleteBucket(bucket: string): Promise<void>;
  /** Asked with every request: costs next to nothing. */
  bucketSettings(bucket: string): Promise<BucketSettings>;
  /** Durable when it resolves; `change` sees the newest settings and may run again. What it throws is passed on. */
  changeBucketSettings(bucket: string, change: (current: BucketSettings) => BucketSettings): Promise<void>;

  list(bucket: string, query: ListQuery): Promise<ListPage>;
  listVersions(bucket: string, query: VersionQuery): Promise<VersionPage>;
  /** What is kept beside the bytes, for which no key is needed. */
  head(object: ObjectRef): Promise<ObjectInfo>;
  /** `select` sees the object that was opened and says which part is wanted; what it throws is passed on. */
  get(object: ObjectRef, select: (info: ObjectInfo) => ByteRange | undefined, options?: ReadOptions): Promise<ObjectContent>;
  put(object: ObjectRef, body: ObjectBody, options: PutOptions): Promise<ObjectInfo>;
  /** Changes what is kept beside the bytes; `change` sees the newest state. Errors: what it throws. */
  update(object: ObjectRef, change: (current: ObjectInfo) => ObjectChanges): Promise<ObjectInfo>;
  /** Succeeds when there is nothing to delete. */
  delete(object: ObjectRef, options?: DeleteOptions): Promise<Deleted>;
  copy(source: ObjectRef, target: ObjectRef, options: CopyOptions): Promise<ObjectInfo>;

  createUpload(target: ObjectRef, options: UploadOptions): Promise<string>;
  headUpload(upload: UploadName): Promise<UploadInfo>;
  putPart(upload: UploadName, partNumber: number, body: ObjectBody, options?: ReadOptions): Promise<PartInfo>;
  /** May be repeated: completing what was completed answers the same. Errors: `wrong_checksum`, `wrong_size` when the whole is not what was expected. */
  completeUpload(upload: UploadName, parts: readonly CompletedPart[], options?: CompleteOptions): Promise<ObjectInfo>;
  abortUpload(upload: UploadName): Promise<void>;
  /** All parts in order of their numbers; there are at most 10,000. */
  listParts(upload: UploadName): Promise<readonly PartInfo[]>;
  /** All running uploads of a bucket, ordered by key and then by id. */
  listUploads(bucket: string): Promise<readonly UploadInfo[]>;
}
