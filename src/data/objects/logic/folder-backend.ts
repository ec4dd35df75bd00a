import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Code, Fault, notFound } from '#kernel/fault.ts';
import { isSystemError } from '#lib/system-error.ts';
import type { Backend, BucketInfo, ObjectInfo } from '#s3/backend.ts';
import { installation } from '#s3/bucket-settings.ts';
import { storedBody } from '#s3/stored-body.ts';
import type { ObjectStore } from '../store/store.ts';
import { type BucketFolder, diskFault, findBucketFolder } from './bucket-folder.ts';
import type { RecordChange } from './change.ts';
import { createFolderBucket, type FolderBucket } from './folder-bucket.ts';
import { listFolder } from './folder-list.ts';
import type { Entry } from './folder-tree.ts';
import { lstat } from './fs.ts';

/** A child folder of the parent and the name it has as a bucket. */
export interface FolderDeclaration {
  readonly bucket: string;
  readonly folder: string;
}

export interface FolderBackendOptions {
  /** The folder whose children are the buckets. */
  readonly parent: string;
  readonly folders: readonly FolderDeclaration[];
  readonly store: ObjectStore;
  readonly record: RecordChange;
  /** 32 hexadecimal digits nobody can guess. */
  readonly newId?: () => string;
  readonly now?: () => number;
  readonly partSizeBytesMin?: number;
}

/** Folders on disk as buckets, with the verbs that a tree needs and S3 does not have. Paths are keys; `/` at the end of a folder's is optional. */
export interface FolderBackend extends Backend {
  stat(bucket: string, path: string): Promise<Entry>;
  mkdir(bucket: string, path: string): Promise<ObjectInfo>;
  move(bucket: string, from: string, to: string, options?: { readonly replace?: boolean }): Promise<void>;
  removeFolder(bucket: string, path: string, options?: { readonly recursive?: boolean }): Promise<void>;
  /** Removes what killed writes left behind; call it at start, when no other process writes to these folders. */
  sweep(): Promise<void>;
}

interface Opened extends FolderBucket {
  folder: BucketFolder;
  /** When its folder was last seen to be where it is. */
  checkedMs: number;
}

const checkIntervalMs = 1_000;

/**
 * Files stay plain files that other programs may read and write at any time: metadata counts only for the very state of a file that
 * it was written for, and no file is ever reached through a symbolic link.
 *
 * Errors: beyond those of `Backend`, `unavailable` with reason `folder_missing` when a declared folder is not there or another, empty one
 * is, as when its disk is not mounted; nothing is said to be missing, and nothing written, then. `disk_failing` when the disk does not answer.
 */
export function createFolderBackend(options: FolderBackendOptions): FolderBackend {
  const { parent, store, record, now = Date.now, newId = () => randomBytes(16).toString('hex'), partSizeBytesMin } = options;
  const declared = new Map(options.folders.map(({ bucket, folder }) => [bucket, join(parent, folder)]));
  const opened = new Map<string, Opened>();

  /** `isSure`: looks at the folder now, not only every now and then. */
  async function open(bucket: string, isSure = false): Promise<Opened> {
    const path = declared.get(bucket);
    if (path === undefined)
      throw new Fault(Code.NotFound, `The specified bucket does not exist: ${JSON.stringify(bucket)}`, {
        reason: 'no_such_bucket',
      });
    const known = opened.get(bucket);
    if (known && !isSure && now() - known.checkedMs < checkIntervalMs) return known;
    const folder = await findBucketFolder(bucket, path, known?.folder, () => store.hasRows(bucket));
    // Asked again: many may have waited for the first look, and writers of one key need one lock.
    const current = opened.get(bucket);
    if (current?.folder.root === folder.root) return Object.assign(current, { folder, checkedMs: now() });
    const assertThere = async (): Promise<void> => void (await open(bucket, true));
    const files = createFolderBucket({ bucket, root: folder.root, store, record, newId, assertThere, now, partSizeBytesMin });
    const made: Opened = { ...files, folder, checkedMs: now() };
    opened.set(bucket, made);
    return made;
  }

  /** Runs a verb. When it finds nothing, that may be because the folder is away; `isNothing` says whether a result is such a finding. */
  async function on<T>(
    bucket: string,
    verb: (opened: Opened) => Promise<T>,
    isNothing: (result: T) => boolean = () => false,
  ): Promise<T> {
    const found = await open(bucket);
    try {
      const result = await verb(found);
      if (isNothing(result)) await open(bucket, true);
      return result;
    } catch (error) {
      if (isSystemError(error, 'ENOENT') || (error instanceof Fault && error.reason === 'no_such_key')) await open(bucket, true);
      throw diskFault(error, bucket);
    }
  }

  /** The same for verbs that change folders in place: they must not begin on what was left where a disk was. */
  async function change<T>(bucket: string, verb: (opened: Opened) => Promise<T>): Promise<T> {
    await open(bucket, true);
    return await on(bucket, verb);
  }

  async function headBucket(bucket: string): Promise<BucketInfo> {
    const { birthtimeNs } = await on(bucket, ({ disk }) => lstat(disk.root));
    return { name: bucket, createdMs: Number(birthtimeNs / 1_000_000n), owner: installation };
  }

  return {
    headBucket,
    /** A bucket whose disk is away is left out: it comes back with its disk. */
    async listBuckets() {
      const found = await Promise.all([...declared.keys()].sort().map((bucket) => headBucket(bucket).catch(missingOnly)));
      return found.filter((info) => info !== undefined);
    },
    list: (bucket, query) =>
      on(
        bucket,
        ({ disk }) => listFolder(disk, query),
        ({ objects, commonPrefixes }) => objects.length === 0 && commonPrefixes.length === 0,
      ),
    head: ({ bucket, key, versionId }) => on(bucket, ({ reader }) => reader.head(unversioned(key, versionId))),
    get: ({ bucket, key, versionId }, select) => on(bucket, ({ reader }) => reader.get(unversioned(key, versionId), select)),
    put: ({ bucket, key }, body, putOptions) => on(bucket, ({ writer }) => writer.put(key, body, putOptions)),
    async delete({ bucket, key, versionId }, { condition } = {}) {
      await change(bucket, ({ writer }) => writer.delete(unversioned(key, versionId), condition));
      return { isDeleteMarker: false };
    },
    async copy(source, target, { headers, sourceCondition, condition }) {
      const content = await on(source.bucket, ({ reader }) =>
        reader.get(source.key, (info) => {
          sourceCondition?.(info);
          return undefined;
        }),
      );
      const [algorithm] = Object.keys(content.info.checksums) as (keyof typeof content.info.checksums)[];
      await using body = storedBody(content, algorithm);
      return await on(target.bucket, ({ writer }) =>
        writer.put(target.key, body, { headers: headers ?? content.info.headers, condition }),
      );
    },
    bucketSettings: async () => ({ owner: installation }),
    changeBucketSettings: notYet,
    createBucket: notYet,
    deleteBucket: notYet,
    listVersions: notYet,
    update: notYet,
    createUpload: ({ bucket, key }, { headers, checksum }) =>
      on(bucket, ({ uploads }) => uploads.create(key, headers ?? {}, checksum)),
    headUpload: ({ bucket, key, uploadId }) => on(bucket, ({ uploads }) => uploads.head(key, uploadId)),
    putPart: ({ bucket, key, uploadId }, partNumber, body) =>
      on(bucket, ({ uploads }) => uploads.put(key, uploadId, partNumber, body)),
    completeUpload: ({ bucket, key, uploadId }, parts, { condition } = {}) =>
      on(bucket, ({ uploads }) => uploads.complete(key, uploadId, parts, condition)),
    abortUpload: ({ bucket, key, uploadId }) => on(bucket, ({ uploads }) => uploads.abort(key, uploadId)),
    listParts: ({ bucket, key, uploadId }) => on(bucket, ({ uploads }) => uploads.parts(key, uploadId)),
    listUploads: (bucket) => on(bucket, ({ uploads }) => uploads.list()),

    stat: (bucket, path) => on(bucket, ({ tree }) => tree.stat(path)),
    mkdir: (bucket, path) => change(bucket, ({ tree }) => tree.mkdir(path)),
    move: (bucket, from, to, moveOptions) => change(bucket, ({ tree }) => tree.move(from, to, moveOptions)),
    removeFolder: (bucket, path, removeOptions) => change(bucket, ({ tree }) => tree.removeFolder(path, removeOptions)),
    async sweep() {
      for (const bucket of declared.keys()) await (await open(bucket)).disk.sweep();
    },
  };
}

function missingOnly(error: unknown): undefined {
  if (error instanceof Fault && error.reason === 'folder_missing') return undefined;
  throw error;
}

function unversioned(key: string, versionId: string | undefined): string {
  if (versionId === undefined || versionId === 'null') return key;
  throw notFound(`There is no version ${JSON.stringify(versionId)} of ${JSON.stringify(key)}`, { reason: 'no_such_version' });
}

const notYet = (): Promise<never> => Promise.reject(new Fault(Code.Unimplemented, 'This verb is not there yet'));
