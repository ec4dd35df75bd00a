import { createHash } from 'node:crypto';
import { Code, Fault } from '#kernel/fault.ts';
import type { ByteRange } from '#lib/byte-range.ts';
import { compareUtf8 } from '#lib/utf8-order.ts';
import type {
  Backend,
  BucketInfo,
  CompletedPart,
  Encryption,
  ListedVersion,
  ListQuery,
  NewObject,
  ObjectBody,
  ObjectInfo,
  ObjectRef,
  PartInfo,
  ReadOptions,
  UploadInfo,
  UploadName,
  VersionQuery,
  WriteCondition,
} from '../backend.ts';
import type { BucketSettings } from '../bucket-settings.ts';
import { storedBody } from '../stored-body.ts';

/** One version of a key: an object with its bytes, or a delete marker. */
interface Version {
  readonly id: string;
  readonly isMarker: boolean;
  readonly info: ObjectInfo;
  readonly bytes: Uint8Array;
}

interface Upload {
  readonly info: UploadInfo;
  readonly object: NewObject;
  readonly parts: Map<number, { readonly info: PartInfo; readonly bytes: Uint8Array }>;
}

interface Bucket {
  readonly info: BucketInfo;
  settings: BucketSettings;
  /** The newest version of a key first; a key without versions is not in it. */
  readonly keys: Map<string, readonly Version[]>;
  readonly uploads: Map<string, Upload>;
}

export interface MemoryBackendOptions {
  readonly now?: () => number;
  /** The smallest part but the last. */
  readonly partSizeBytesMin?: number;
}

/**
 * The reference: what every backend has to do, in the simplest words there are.
 *
 * Each verb is one step that nothing comes between, over plain maps; nothing is durable, encrypted or fast. Real backends are run beside
 * it and compared.
 */
export function createMemoryBackend({ now = Date.now, partSizeBytesMin = 5 << 20 }: MemoryBackendOptions = {}): Backend {
  const buckets = new Map<string, Bucket>();
  let lastId = 0;
  const newId = (): string => `m${++lastId}`;

  function open(name: string): Bucket {
    const bucket = buckets.get(name);
    if (!bucket) throw missing('no_such_bucket', name);
    return bucket;
  }

  const versionsOf = (bucket: Bucket, key: string): readonly Version[] => bucket.keys.get(key) ?? [];

  function setVersions(bucket: Bucket, key: string, versions: readonly Version[]): void {
    if (versions.length > 0) bucket.keys.set(key, versions);
    else bucket.keys.delete(key);
  }

  /** The new version becomes the latest; of those without an id of their own there is only one. */
  function add(bucket: Bucket, key: string, isMarker: boolean, info: Partial<ObjectInfo>, bytes: Uint8Array): Version {
    const { versioning } = bucket.settings;
    const id = versioning === 'Enabled' ? newId() : 'null';
    const basic = { key, sizeBytes: bytes.length, mtimeMs: now(), etag: '', headers: {}, checksums: {} };
    const version = { id, isMarker, info: { ...basic, ...info, ...(versioning ? { versionId: id } : {}) }, bytes };
    setVersions(bucket, key, [version, ...versionsOf(bucket, key).filter((other) => other.id !== id)]);
    return version;
  }

  function current(bucket: Bucket, key: string): ObjectInfo | undefined {
    const [latest] = versionsOf(bucket, key);
    return latest?.isMarker ? undefined : latest?.info;
  }

  function find({ bucket, key, versionId }: ObjectRef, options?: ReadOptions): Version {
    const versions = versionsOf(open(bucket), key);
    const found = versionId === undefined ? versions[0] : versions.find(({ id }) => id === versionId);
    if (!found) throw missing(versionId === undefined ? 'no_such_key' : 'no_such_version', key);
    if (found.isMarker) throw missing('delete_marker', key, { versionId: found.id });
    const { encryption } = found.info;
    if (!options || encryption?.kind !== 'sse_c') return found;
    if (!options.customerKey) throw refused('customer_key_missing', key);
    if (options.customerKey.keyMd5 !== encryption.keyMd5) throw refused('customer_key_wrong', key);
    return found;
  }

  function openUpload({ bucket, key, uploadId }: UploadName): Upload {
    const upload = open(bucket).uploads.get(uploadId);
    if (upload?.info.key !== key) throw missing('no_such_upload', uploadId);
    return upload;
  }

  function write(
    bucket: Bucket,
    key: string,
    bytes: Uint8Array,
    info: Partial<ObjectInfo>,
    condition?: WriteCondition,
  ): ObjectInfo {
    condition?.(current(bucket, key));
    return add(bucket, key, false, info, bytes).info;
  }

  /** Every key with what stands for it, or the group it is in, in order and once. */
  function page<T>(bucket: Bucket, query: ListQuery, entriesOf: (key: string, versions: readonly Version[]) => readonly T[]) {
    const keys = [...bucket.keys.keys()].filter((key) => key.startsWith(query.prefix)).sort(compareUtf8);
    const entries: { readonly name: string; readonly item: T | undefined }[] = [];
    for (const key of keys) {
      const at = query.delimiter === '' ? -1 : key.indexOf(query.delimiter, query.prefix.length);
      const group = key.slice(0, at + query.delimiter.length);
      if (at < 0) entries.push(...entriesOf(key, versionsOf(bucket, key)).map((item) => ({ name: key, item })));
      else if (entries.at(-1)?.name !== group) entries.push({ name: group, item: undefined });
    }
    return entries;
  }

  return {
    listBuckets: async () => [...buckets.values()].map(({ info }) => info).sort((a, b) => compareUtf8(a.name, b.name)),
    headBucket: async (name) => open(name).info,
    async createBucket(name, settings) {
      if (buckets.has(name)) throw new Fault(Code.AlreadyExists, name, { reason: 'bucket_exists' });
      const info = { name, createdMs: now(), owner: settings.owner };
      buckets.set(name, { info, settings, keys: new Map(), uploads: new Map() });
    },
    async deleteBucket(name) {
      if (open(name).keys.size > 0) throw new Fault(Code.FailedPrecondition, name, { reason: 'bucket_not_empty' });
      buckets.delete(name);
    },
    bucketSettings: async (name) => open(name).settings,
    async changeBucketSettings(name, change) {
      const bucket = open(name);
      bucket.settings = change(bucket.settings);
    },

    async list(name, query) {
      const latestOf = (_key: string, [latest]: readonly Version[]) => (latest && !latest.isMarker ? [latest.info] : []);
      const bucket = open(name);
      // A group counts only when one of its keys has an object now.
      const alive = { ...bucket, keys: new Map([...bucket.keys].filter(([key]) => current(bucket, key))) };
      const entries = page(alive, query, latestOf).filter((entry) => compareUtf8(entry.name, query.after) > 0);
      const shown = entries.slice(0, query.limit);
      return {
        objects: shown.map(({ item }) => item).filter((item) => item !== undefined),
        commonPrefixes: shown.filter(({ item }) => item === undefined).map((entry) => entry.name),
        next: entries.length > query.limit ? shown.at(-1)?.name : undefined,
      };
    },
    async listVersions(name, query: VersionQuery) {
      const bucket = open(name);
      const all = page(bucket, query, (_key, versions): readonly ListedVersion[] =>
        versions.map(({ id, isMarker, info }, at) => ({ ...info, versionId: id, isLatest: at === 0, isDeleteMarker: isMarker })),
      );
      const markerAt = query.afterVersionId
        ? all.findIndex(({ name: key, item }) => key === query.after && item?.versionId === query.afterVersionId)
        : -1;
      const entries = markerAt >= 0 ? all.slice(markerAt + 1) : all.filter((entry) => compareUtf8(entry.name, query.after) > 0);
      const shown = entries.slice(0, query.limit);
      const last = shown.at(-1);
      const next = last && { key: last.name, ...(last.item ? { versionId: last.item.versionId } : {}) };
      return {
        versions: shown.map(({ item }) => item).filter((item) => item !== undefined),
        commonPrefixes: shown.filter(({ item }) => item === undefined).map((entry) => entry.name),
        next: entries.length > query.limit ? next : undefined,
      };
    },
    head: async (object) => find(object).info,
    async get(object, select, options = {}) {
      const { info, bytes } = find(object, options);
      const range: ByteRange | undefined = select(info);
      return { info, range, body: range ? bytes.subarray(range.first, range.last + 1) : bytes };
    },
    async put({ bucket: name, key }, body, options) {
      const bucket = open(name);
      const { bytes, etag, checksums } = await readAll(body);
      return write(bucket, key, bytes, { ...infoOf(options), etag, checksums }, options.condition);
    },
    async update(object, change) {
      const bucket = open(object.bucket);
      const found = find(object);
      const version = { ...found, info: { ...found.info, ...change(found.info) } as ObjectInfo };
      setVersions(
        bucket,
        object.key,
        versionsOf(bucket, object.key).map((other) => (other === found ? version : other)),
      );
      return version.info;
    },
    async delete({ bucket: name, key, versionId }, { condition } = {}) {
      const bucket = open(name);
      const versions = versionsOf(bucket, key);
      if (versionId !== undefined) {
        const found = versions.find(({ id }) => id === versionId);
        if (found) condition?.(found.isMarker ? undefined : found.info);
        setVersions(
          bucket,
          key,
          versions.filter((other) => other !== found),
        );
        return { versionId, isDeleteMarker: found?.isMarker ?? false };
      }
      if (condition && versions.length === 0) return { isDeleteMarker: false };
      condition?.(current(bucket, key));
      if (bucket.settings.versioning) return { versionId: add(bucket, key, true, {}, nothing).id, isDeleteMarker: true };
      setVersions(bucket, key, []);
      return { isDeleteMarker: false };
    },
    async copy(source, target, options) {
      const found = find(source, { customerKey: options.sourceKey });
      options.sourceCondition?.(found.info);
      const algorithm = options.checksumAlgorithm ?? (Object.keys(found.info.checksums)[0] as keyof ObjectInfo['checksums']);
      const { etag, checksums } = await readAll(storedBody({ info: found.info, range: undefined, body: found.bytes }, algorithm));
      const { headers = found.info.headers, tags = found.info.tags, condition, ...object } = options;
      return write(
        open(target.bucket),
        target.key,
        found.bytes,
        { ...infoOf({ ...object, headers, tags }), etag, checksums },
        condition,
      );
    },

    async createUpload({ bucket, key }, { checksum, initiator, ...object }) {
      const uploadId = newId();
      const { owner, storageClass, encryption } = infoOf(object);
      const whose = { ...(owner ? { owner } : {}), ...(initiator ? { initiator } : {}) };
      const kept = { ...(storageClass ? { storageClass } : {}), ...(encryption ? { encryption } : {}) };
      const info = { key, uploadId, initiatedMs: now(), checksum, ...whose, ...kept };
      open(bucket).uploads.set(uploadId, { info, object, parts: new Map() });
      return uploadId;
    },
    headUpload: async (upload) => openUpload(upload).info,
    async putPart(upload, partNumber, body) {
      const { parts } = openUpload(upload);
      const { bytes, etag, checksums } = await readAll(body);
      const info = { partNumber, sizeBytes: bytes.length, mtimeMs: now(), etag, checksums };
      parts.set(partNumber, { info, bytes });
      return info;
    },
    async completeUpload(upload, wanted: readonly CompletedPart[], { condition } = {}) {
      const { object, parts } = openUpload(upload);
      const bucket = open(upload.bucket);
      const chosen = wanted.map(({ partNumber, etag }, at) => {
        const part = parts.get(partNumber);
        if (part?.info.etag !== etag) throw refused('invalid_part', upload.key);
        if (at < wanted.length - 1 && part.bytes.length < partSizeBytesMin) throw refused('entity_too_small', upload.key);
        return part;
      });
      const md5 = createHash('md5');
      for (const { info } of chosen) md5.update(info.etag, 'hex');
      const etag = `${md5.digest('hex')}-${chosen.length}`;
      const bytes = Buffer.concat(chosen.map((part) => part.bytes));
      const info = write(bucket, upload.key, bytes, { ...infoOf(object), etag }, condition);
      bucket.uploads.delete(upload.uploadId);
      return info;
    },
    async abortUpload(upload) {
      openUpload(upload);
      open(upload.bucket).uploads.delete(upload.uploadId);
    },
    listParts: async (upload) =>
      [...openUpload(upload).parts.values()].map(({ info }) => info).sort((a, b) => a.partNumber - b.partNumber),
    listUploads: async (name) =>
      [...open(name).uploads.values()].map(({ info }) => info).sort((a, b) => compareUtf8(a.key, b.key)),
  };
}

const nothing = new Uint8Array(0);

async function readAll(body: ObjectBody) {
  const pieces: Uint8Array[] = [];
  for await (const piece of body.bytes) pieces.push(piece);
  const { md5Hex, checksums } = await body.verify();
  return { bytes: Buffer.concat(pieces), etag: md5Hex, checksums };
}

/** What is kept of what a writer gave; what is absent is absent. */
function infoOf({
  headers = {},
  encryption,
  tags,
  acl,
  owner,
  retention,
  hasLegalHold,
  storageClass,
}: NewObject): Partial<ObjectInfo> {
  const kept: Encryption | undefined = encryption?.kind === 'sse_c' ? { kind: 'sse_c', keyMd5: encryption.keyMd5 } : encryption;
  const all = { encryption: kept, tags, acl, owner, retention, hasLegalHold, storageClass };
  return { headers, ...Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) };
}

const missing = (reason: string, subject: string, details: Readonly<Record<string, string>> = {}): Fault =>
  new Fault(Code.NotFound, `${reason}: ${JSON.stringify(subject)}`, { reason, details });
const refused = (reason: string, subject: string): Fault =>
  new Fault(Code.InvalidArgument, `${reason}: ${JSON.stringify(subject)}`, { reason });
