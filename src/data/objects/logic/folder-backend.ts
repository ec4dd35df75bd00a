import { randomBytes } from 'node:crypto';
import { Fault } from '#kernel/fault.ts';
import { isSystemError } from '#lib/system-error.ts';
import type { Backend, ObjectInfo } from '#s3/backend.ts';
import type { ObjectStore } from '../store/store.ts';
import { BucketCatalogue, type FolderDeclaration, type OpenBucket } from './bucket-catalogue.ts';
import { diskFault } from './bucket-folder.ts';
import type { RecordChange } from './change.ts';
import type { ContentCoding } from './content-coding.ts';
import { listFolder } from './folder-list.ts';
import type { Entry } from './folder-tree.ts';
import type { ExpireOptions } from './folder-uploads.ts';
import { copyObject } from './object-copier.ts';
import { updateObject } from './object-updater.ts';
import type { CollectOptions } from './row-collector.ts';
import { listVersions } from './version-list.ts';

export interface FolderBackendOptions {
  /** The folder whose children are the buckets. */
  readonly parent: string;
  readonly folders: readonly FolderDeclaration[];
  /** True: every other child with the name of a bucket is one too, and buckets can be made. */
  readonly hasMore?: boolean;
  readonly store: ObjectStore;
  readonly record: RecordChange;
  /** Absent: nothing is encrypted. */
  readonly coding?: ContentCoding;
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

/** The backend over folders of our own, with what has to be done for them now and then. */
export interface LocalBackend extends FolderBackend {
  /** Looks at everything known of objects and removes what is of no use any more, see `RowCollector`. Result: how many rows. */
  collect(options: Omit<CollectOptions, 'assertThere'>): Promise<number>;
  /** Gives up uploads that nobody goes on with, and forgets what was completed long ago. Result: how many were given up. */
  expireUploads(options: ExpireOptions): Promise<number>;
  /** The declared buckets from now on; the others go on undisturbed. */
  declare(folders: readonly FolderDeclaration[]): void;
}

/**
 * Files stay plain files that other programs may read and write at any time: metadata counts only for the very state of a file that
 * it was written for, and no file is ever reached through a symbolic link.
 *
 * Errors: beyond those of `Backend`, `unavailable` with reason `folder_missing` when a declared folder is not there or another, empty one
 * is, as when its disk is not mounted; nothing is said to be missing, and nothing written, then. `disk_failing` when the disk does not answer.
 */
export function createFolderBackend(options: FolderBackendOptions): LocalBackend {
  const { now = Date.now, newId = () => randomBytes(16).toString('hex'), hasMore = false } = options;
  const buckets = new BucketCatalogue({ ...options, now, newId, hasMore });

  /** Runs a verb. When it finds nothing, that may be because the folder is away; `isNothing` says whether a result is such a finding. */
  async function on<T>(
    bucket: string,
    verb: (opened: OpenBucket) => Promise<T>,
    isNothing: (result: T) => boolean = () => false,
  ): Promise<T> {
    const found = await buckets.open(bucket);
    try {
      const result = await verb(found);
      if (isNothing(result)) await buckets.open(bucket, true);
      return result;
    } catch (error) {
      if (isSystemError(error, 'ENOENT') || (error instanceof Fault && error.reason === 'no_such_key'))
        await buckets.open(bucket, true);
      throw diskFault(error, bucket);
    }
  }

  /** The same for verbs that change folders in place: they must not begin on what was left where a disk was. */
  async function change<T>(bucket: string, verb: (opened: OpenBucket) => Promise<T>): Promise<T> {
    await buckets.open(bucket, true);
    return await on(bucket, verb);
  }

  return {
    headBucket: (bucket) => on(bucket, () => buckets.info(bucket)),
    /** A bucket whose disk is away is left out: it comes back with its disk. */
    async listBuckets() {
      const names = await buckets.names();
      const found = await Promise.all(names.map((bucket) => buckets.info(bucket).catch(missingOnly)));
      return found.filter((info) => info !== undefined);
    },
    createBucket: (bucket, settings) => buckets.create(bucket, settings),
    deleteBucket: (bucket) => on(bucket, () => buckets.remove(bucket)),
    async bucketSettings(bucket) {
      await buckets.open(bucket);
      return buckets.settings(bucket);
    },
    changeBucketSettings: (bucket, settings) => buckets.change(bucket, settings),

    list: (bucket, query) =>
      on(
        bucket,
        ({ disk }) => listFolder(disk, query),
        ({ objects, commonPrefixes }) => objects.length === 0 && commonPrefixes.length === 0,
      ),
    listVersions: (bucket, query) =>
      on(
        bucket,
        ({ disk, finder }) => listVersions(disk, finder, query),
        ({ versions, commonPrefixes }) => versions.length === 0 && commonPrefixes.length === 0,
      ),
    head: ({ bucket, key, versionId }) => on(bucket, ({ reader }) => reader.head(key, versionId)),
    get: ({ bucket, key, versionId }, select, readOptions) =>
      on(bucket, ({ reader }) => reader.get(key, versionId, select, readOptions)),
    put: ({ bucket, key }, body, putOptions) => on(bucket, ({ writer }) => writer.put(key, body, putOptions)),
    update: ({ bucket, key, versionId }, changes) => on(bucket, (opened) => updateObject(opened, key, versionId, changes)),
    delete: ({ bucket, key, versionId }, deleteOptions) =>
      change(bucket, ({ deleter }) => deleter.delete(key, versionId, deleteOptions)),
    copy: (source, target, copyOptions) =>
      on(source.bucket, (from) =>
        on(target.bucket, (to) => copyObject({ ...source, bucket: from }, { ...target, bucket: to }, copyOptions)),
      ),
    createUpload: ({ bucket, key }, uploadOptions) => on(bucket, ({ uploads }) => uploads.create(key, uploadOptions)),
    headUpload: ({ bucket, key, uploadId }) => on(bucket, ({ uploads }) => uploads.head(key, uploadId)),
    putPart: ({ bucket, key, uploadId }, partNumber, body, readOptions) =>
      on(bucket, ({ uploads }) => uploads.put(key, uploadId, partNumber, body, readOptions?.customerKey)),
    completeUpload: ({ bucket, key, uploadId }, parts, completeOptions) =>
      on(bucket, ({ uploads }) => uploads.complete(key, uploadId, parts, completeOptions)),
    abortUpload: ({ bucket, key, uploadId }) => on(bucket, ({ uploads }) => uploads.abort(key, uploadId)),
    listParts: ({ bucket, key, uploadId }) => on(bucket, ({ uploads }) => uploads.parts(key, uploadId)),
    listUploads: (bucket) => on(bucket, ({ uploads }) => uploads.list()),

    declare: (folders) => buckets.declare(folders),
    stat: (bucket, path) => on(bucket, ({ tree }) => tree.stat(path)),
    mkdir: (bucket, path) => change(bucket, ({ tree }) => tree.mkdir(path)),
    move: (bucket, from, to, moveOptions) => change(bucket, ({ tree }) => tree.move(from, to, moveOptions)),
    removeFolder: (bucket, path, removeOptions) => change(bucket, ({ remover }) => remover.remove(path, removeOptions)),
    async sweep() {
      await buckets.recover();
      for (const bucket of await buckets.names()) {
        const { disk, uploads } = await buckets.open(bucket);
        await disk.sweep();
        await uploads.sweep();
      }
    },
    async collect(collectOptions) {
      let count = 0;
      for (const bucket of await buckets.names()) {
        const assertThere = () => buckets.open(bucket, true);
        count += await on(bucket, ({ collector }) => collector.collect({ ...collectOptions, assertThere }));
      }
      return count;
    },
    async expireUploads(expireOptions) {
      let count = 0;
      for (const bucket of await buckets.names()) {
        count += (await on(bucket, ({ uploads }) => uploads.expire(expireOptions))).length;
      }
      return count;
    },
  };
}

function missingOnly(error: unknown): undefined {
  if (error instanceof Fault && error.reason === 'folder_missing') return undefined;
  throw error;
}
