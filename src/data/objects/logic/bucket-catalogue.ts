import { join } from 'node:path';
import { alreadyExists, Code, Fault, failedPrecondition, invalidArgument, permissionDenied, unavailable } from '#kernel/fault.ts';
import { createKeyedLock } from '#lib/keyed-lock.ts';
import { isSystemError } from '#lib/system-error.ts';
import type { BucketInfo } from '#s3/backend.ts';
import { type BucketSettings, installation } from '#s3/bucket-settings.ts';
import type { Volume } from '../../volume.ts';
import type { BucketRecord, ObjectStore } from '../store/store.ts';
import { type BucketFolder, findBucketFolder } from './bucket-folder.ts';
import { isBucketName } from './bucket-name.ts';
import type { RecordChange } from './change.ts';
import type { ContentCoding } from './content-coding.ts';
import { openDirectory } from './directory.ts';
import { createFolderBucket, type FolderBucket } from './folder-bucket.ts';
import { lookAt, mkdir, readEntries, readEntriesNow, realpath, remove, rmdir, writeFault } from './fs.ts';
import { privateFolder } from './key-path.ts';
import { probedVolumes } from './probed-volumes.ts';
import { RowCollector } from './row-collector.ts';
import { listVersions } from './version-list.ts';

/** A child folder of the parent and the name it has as a bucket. */
export interface FolderDeclaration {
  readonly bucket: string;
  readonly folder: string;
}

export interface BucketCatalogueOptions {
  /** The folder whose children are the buckets. */
  readonly parent: string;
  readonly folders: readonly FolderDeclaration[];
  /** True: every other child with the name of a bucket is one too, and buckets can be made. */
  readonly hasMore: boolean;
  readonly store: ObjectStore;
  readonly record: RecordChange;
  readonly newId: () => string;
  readonly now: () => number;
  readonly coding?: ContentCoding | undefined;
  readonly partSizeBytesMin?: number | undefined;
}

export interface OpenBucket extends FolderBucket {
  readonly collector: RowCollector;
  folder: BucketFolder;
  /** When its folder was last seen to be where it is. */
  checkedMs: number;
}

const checkIntervalMs = 1_000;
const unset: BucketSettings = { owner: installation };

/** The buckets of one parent folder: those that were declared and, where it is so, all its children. */
export class BucketCatalogue {
  readonly #options: BucketCatalogueOptions;
  #declared: ReadonlyMap<string, string> = new Map();
  readonly #opened = new Map<string, OpenBucket>();
  readonly #locks = createKeyedLock();
  readonly #volumeOf: (folder: BucketFolder) => Volume;
  #records: Promise<Map<string, BucketRecord>> | undefined;
  #known = new Map<string, BucketRecord>();

  constructor(options: BucketCatalogueOptions) {
    this.#options = options;
    this.#volumeOf = probedVolumes(options.now);
    this.declare(options.folders);
  }

  /** The declared ones from now on; what is under way in one that is no more ends as it began. */
  declare(folders: readonly FolderDeclaration[]): void {
    this.#declared = new Map(folders.map(({ bucket, folder }) => [bucket, join(this.#options.parent, folder)]));
    for (const bucket of this.#opened.keys())
      if (!this.#options.hasMore && !this.#declared.has(bucket)) this.#opened.delete(bucket);
  }

  /** The bucket and its folder. `isSure`: looks at the folder now, not only every now and then. Errors: `no_such_bucket`, `folder_missing`. */
  async open(bucket: string, isSure = false): Promise<OpenBucket> {
    const known = this.#opened.get(bucket);
    if (known && !isSure && this.#options.now() - known.checkedMs < checkIntervalMs) return known;
    await this.#load();
    const { store } = this.#options;
    const path = this.#declared.get(bucket) ?? (await this.#childPath(bucket));
    const folder = await findBucketFolder(bucket, path, known?.folder, () => store.hasRows(bucket));
    // Asked again: many may have waited for the first look, and writers of one key need one lock.
    return await this.#locks.run(bucket, async () => {
      const current = this.#opened.get(bucket);
      if (current?.folder.root === folder.root) {
        if (current.folder.device !== folder.device || !current.disk.volume.isKnown) current.disk.volume = this.#volumeOf(folder);
        return Object.assign(current, { folder, checkedMs: this.#options.now() });
      }
      const opened = await this.#make(bucket, folder);
      this.#opened.set(bucket, opened);
      return opened;
    });
  }

  async names(): Promise<readonly string[]> {
    const { hasMore, parent } = this.#options;
    if (!hasMore) return [...this.#declared.keys()].sort();
    const entries = await readEntries(await this.#parent()).catch((error: unknown) => {
      throw isSystemError(error, 'ENOENT', 'ENOTDIR') ? parentMissing(parent, error) : error;
    });
    const children = entries.filter(({ name, isFolder }) => isFolder && isBucketName(name)).map(({ name }) => name);
    return [...new Set([...this.#declared.keys(), ...children])].sort();
  }

  async info(bucket: string): Promise<BucketInfo> {
    const { folder } = await this.open(bucket);
    const record = this.#known.get(bucket);
    const birthMs = Number((lookAt(folder.root)?.birthtimeNs ?? 0n) / 1_000_000n);
    return { name: bucket, createdMs: record?.createdMs ?? birthMs, owner: this.settings(bucket).owner };
  }

  /** Of a bucket that was opened. */
  settings(bucket: string): BucketSettings {
    return this.#known.get(bucket)?.settings ?? unset;
  }

  async change(bucket: string, change: (current: BucketSettings) => BucketSettings): Promise<void> {
    await this.open(bucket);
    await this.#locks.run(`settings ${bucket}`, async () => {
      const { createdMs } = await this.info(bucket);
      await this.#put({ bucket, createdMs, settings: change(this.settings(bucket)) });
    });
  }

  async create(bucket: string, settings: BucketSettings): Promise<void> {
    const { hasMore, newId: _, now, parent, record, store } = this.#options;
    if (this.#declared.has(bucket)) throw bucketExists(bucket);
    if (!hasMore) {
      throw permissionDenied(
        `Cannot make bucket "${bucket}": the buckets of this installation are declared by its administrator`,
        {
          reason: 'buckets_declared',
          hint: 'Declare a datasource of kind "buckets", or one of that name.',
        },
      );
    }
    if (!isBucketName(bucket)) {
      throw invalidArgument(`Cannot make bucket ${JSON.stringify(bucket)}: that is no name for one`, {
        reason: 'invalid_bucket_name',
      });
    }
    await this.#load();
    await this.#locks.run(bucket, async () => {
      try {
        const root = await this.#parent();
        if (lookAt(join(root, bucket))) throw bucketExists(bucket);
        using directory = openDirectory(root, []);
        // Its presence says that this is the folder we made buckets in.
        await mkdirIfMissing(directory.at(privateFolder));
        await store.removeBucket(bucket);
        await store.write(bucket, [{ kind: 'begin', intent: { key: '', stamp: '', rest: [] } }]);
        await this.#put({ bucket, createdMs: now(), settings });
        await mkdir(directory.at(bucket));
        await directory.sync();
        await record({ bucket, key: '', kind: 'mkdir', sizeBytes: 0, mtimeMs: now(), etag: '' });
        await store.write(bucket, [{ kind: 'end', key: '' }]);
      } catch (error) {
        if (isSystemError(error, 'ENOENT', 'ENOTDIR')) throw parentMissing(parent, error);
        throw isSystemError(error, 'EEXIST') ? bucketExists(bucket) : writeFault(error, bucket);
      }
    });
  }

  /** Only an empty one: no file, also none that other programs put there, no version and no delete marker. */
  async remove(bucket: string): Promise<void> {
    const { now, record, store } = this.#options;
    if (this.#declared.has(bucket)) {
      throw permissionDenied(`Cannot delete bucket "${bucket}": it is declared by the administrator of this installation`, {
        reason: 'buckets_declared',
        hint: 'Remove its datasource instead; the files stay.',
      });
    }
    const opened = await this.open(bucket, true);
    const { disk, finder } = opened;
    await this.#locks.run(bucket, () =>
      disk.gate.alone(async () => {
        const query = { prefix: '', delimiter: '', after: '', limit: 1 };
        const { versions } = await listVersions(disk, finder, query);
        if (versions.length > 0) throw notEmpty(bucket);
        try {
          await store.write(bucket, [{ kind: 'begin', intent: { key: '', stamp: '', rest: [] } }, { kind: 'clear' }]);
          using parent = openDirectory(await this.#parent(), []);
          const path = parent.at(bucket);
          await remove(join(path, privateFolder), { recursive: true, force: true });
          await removeEmptyFolders(path);
          await parent.sync();
          await store.removeBucket(bucket);
          this.#known.delete(bucket);
          this.#opened.delete(bucket);
        } catch (error) {
          throw isSystemError(error, 'ENOTEMPTY', 'EEXIST') ? notEmpty(bucket, error) : writeFault(error, bucket);
        }
        await record({ bucket, key: '', kind: 'delete', sizeBytes: 0, mtimeMs: now(), etag: '' });
      }),
    );
  }

  /** Brings to their ends the changes of buckets that were cut off by a kill. */
  async recover(): Promise<void> {
    const { store } = this.#options;
    await this.#load();
    for (const { bucket, key } of await store.intents()) {
      if (key !== '') continue;
      const stats = lookAt(join(await this.#parent(), bucket));
      if (stats) await store.write(bucket, [{ kind: 'end', key: '' }]);
      else {
        await store.removeBucket(bucket);
        this.#known.delete(bucket);
      }
    }
  }

  async #make(bucket: string, folder: BucketFolder): Promise<OpenBucket> {
    const { store, record, newId, now, coding, partSizeBytesMin } = this.#options;
    const files = createFolderBucket({
      ...{ bucket, root: folder.root, store, record, newId, now, coding, partSizeBytesMin },
      assertThere: async () => void (await this.open(bucket, true)),
      settings: () => this.settings(bucket),
      volume: this.#volumeOf(folder),
      hasHardKeys: (await store.hardKeys(bucket, '', '', 1)).length > 0,
    });
    for (const intent of await store.intents()) {
      if (intent.bucket === bucket && intent.key !== '') await files.disk.recover(intent);
    }
    return { ...files, collector: new RowCollector(files), folder, checkedMs: now() };
  }

  async #put(record: BucketRecord): Promise<void> {
    await this.#options.store.putBucket(record);
    this.#known.set(record.bucket, record);
  }

  /** Settings are read once: nobody else writes them. */
  async #load(): Promise<void> {
    this.#records ??= this.#options.store.buckets().then((records) => {
      this.#known = new Map(records.map((record) => [record.bucket, record]));
      return this.#known;
    });
    try {
      await this.#records;
    } catch (error) {
      this.#records = undefined;
      throw error;
    }
  }

  async #parent(): Promise<string> {
    const { parent } = this.#options;
    try {
      return await realpath(parent);
    } catch (error) {
      throw isSystemError(error, 'ENOENT', 'ENOTDIR') ? parentMissing(parent, error) : error;
    }
  }

  /** A child that is a bucket without having been declared. */
  async #childPath(bucket: string): Promise<string> {
    if (!this.#options.hasMore || !isBucketName(bucket)) throw noSuchBucket(bucket);
    const parent = await this.#parent();
    const path = join(parent, bucket);
    if (lookAt(path)?.isDirectory() && isSpelt(parent, bucket)) return path;
    // Where a disk was there is nothing of ours.
    if (this.#known.has(bucket) && !lookAt(join(parent, privateFolder))) throw parentMissing(parent);
    this.#opened.delete(bucket);
    throw noSuchBucket(bucket);
  }
}

/** A folder that is spelt otherwise is no bucket: `Photos` is none, also where the disk takes `photos` for it. */
function isSpelt(parent: string, bucket: string): boolean {
  const other = bucket.toUpperCase();
  if (other === bucket || !lookAt(join(parent, other))) return true;
  return readEntriesNow(parent).some(({ name }) => name === bucket);
}

async function mkdirIfMissing(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error;
  }
}

/** Errors: `ENOTEMPTY` when there is anything but folders. */
async function removeEmptyFolders(path: string): Promise<void> {
  for (const { name, isFolder } of await readEntries(path)) if (isFolder) await removeEmptyFolders(join(path, name));
  await rmdir(path);
}

const noSuchBucket = (bucket: string): Fault =>
  new Fault(Code.NotFound, `The specified bucket does not exist: ${JSON.stringify(bucket)}`, { reason: 'no_such_bucket' });

const bucketExists = (bucket: string): Fault =>
  alreadyExists(`Cannot make bucket "${bucket}": it exists`, { reason: 'bucket_exists' });

const notEmpty = (bucket: string, cause?: unknown): Fault =>
  failedPrecondition(`Cannot delete bucket "${bucket}": it is not empty`, { reason: 'bucket_not_empty', cause });

const parentMissing = (parent: string, cause?: unknown): Fault =>
  unavailable(`The folder of the buckets is not there: ${parent}`, {
    reason: 'folder_missing',
    hint: 'Mount its disk or create the folder again',
    cause,
  });
