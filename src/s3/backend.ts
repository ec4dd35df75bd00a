import type { ByteRange } from '#lib/byte-range.ts';
import type { ChecksumAlgorithm } from '#lib/checksum.ts';

export interface BucketInfo {
  readonly name: string;
  readonly createdMs: number;
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
  /** `x-amz-meta-*` without the prefix, lower-case names. */
  readonly userMetadata?: Readonly<Record<string, string>>;
}

/** One line of a listing. `etag` has no quotes; `mtimeMs` is milliseconds since 1970. */
export interface ListedObject {
  readonly key: string;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  readonly etag: string;
}

export interface ObjectInfo extends ListedObject {
  readonly headers: ObjectHeaders;
  readonly checksums: Checksums;
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

/** Looks at what is at the key at the moment of the commit and throws when the write must not happen. */
export type WriteCondition = (current: ObjectInfo | undefined) => void;

export interface PutOptions {
  readonly headers?: ObjectHeaders;
  readonly condition?: WriteCondition | undefined;
}

export interface ObjectName {
  readonly bucket: string;
  readonly key: string;
}

export interface CopyOptions {
  /** Absent: the headers of the source. */
  readonly headers?: ObjectHeaders | undefined;
  /** Throws when the source must not be copied. */
  readonly sourceCondition?: ((source: ObjectInfo) => void) | undefined;
  readonly condition?: WriteCondition | undefined;
}

/** How the checksum of a whole multipart object is made. */
export interface UploadChecksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly kind: 'composite' | 'full_object';
}

export interface UploadName extends ObjectName {
  readonly uploadId: string;
}

export interface UploadInfo {
  readonly key: string;
  readonly uploadId: string;
  readonly initiatedMs: number;
  readonly checksum: UploadChecksum | undefined;
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

/**
 * What the S3 protocol needs from whatever keeps the objects.
 *
 * Every verb throws a `Fault` whose reason is one of the words in `errors.ts`: `no_such_bucket`, `no_such_key`, `no_such_upload`,
 * `invalid_part`, `invalid_part_order`, `entity_too_small`, `invalid_key`, `key_too_long`, `key_conflict`, `read_only`, `disk_full`.
 * A write is visible only when whole, and acknowledged only when durable. Of several writers of one key the last to commit wins.
 */
export interface Backend {
  listBuckets(): Promise<readonly BucketInfo[]>;
  headBucket(bucket: string): Promise<BucketInfo>;
  list(bucket: string, query: ListQuery): Promise<ListPage>;
  head(bucket: string, key: string): Promise<ObjectInfo>;
  /** `select` sees the object that was opened and says which part is wanted; what it throws is passed on. */
  get(bucket: string, key: string, select: (info: ObjectInfo) => ByteRange | undefined): Promise<ObjectContent>;
  put(bucket: string, key: string, body: ObjectBody, options: PutOptions): Promise<ObjectInfo>;
  /** Succeeds when there is nothing to delete. */
  delete(bucket: string, key: string, condition?: WriteCondition): Promise<void>;
  copy(source: ObjectName, target: ObjectName, options: CopyOptions): Promise<ObjectInfo>;

  createUpload(target: ObjectName, headers: ObjectHeaders, checksum: UploadChecksum | undefined): Promise<string>;
  headUpload(upload: UploadName): Promise<UploadInfo>;
  putPart(upload: UploadName, partNumber: number, body: ObjectBody): Promise<PartInfo>;
  completeUpload(upload: UploadName, parts: readonly CompletedPart[], condition?: WriteCondition): Promise<ObjectInfo>;
  abortUpload(upload: UploadName): Promise<void>;
  /** All parts in order of their numbers; there are at most 10,000. */
  listParts(upload: UploadName): Promise<readonly PartInfo[]>;
  /** All running uploads of a bucket, ordered by key and then by id. */
  listUploads(bucket: string): Promise<readonly UploadInfo[]>;
}
