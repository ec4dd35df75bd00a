import type { BigIntStats } from 'node:fs';
import { failedPrecondition } from '#kernel/fault.ts';
import { createKeyedLock, type KeyedLock } from '#lib/keyed-lock.ts';
import { isSystemError } from '#lib/system-error.ts';
import type { BucketSettings } from '#s3/bucket-settings.ts';
import type { Volume } from '../../volume.ts';
import type { Intent, ObjectStore, StoreChange } from '../store/store.ts';
import type { Change, RecordChange } from './change.ts';
import type { ContentCoding } from './content-coding.ts';
import { type Directory, openDirectory } from './directory.ts';
import { createFolderNames, type FolderNames } from './folder-names.ts';
import { createFolderPlace, type FolderPlace } from './folder-place.ts';
import { fstat, lookAt, mkdir, readdir, writeFault } from './fs.ts';
import { createGate, type Gate } from './gate.ts';
import { privateFolder } from './key-path.ts';
import { removeTree } from './remove-tree.ts';
import { createSpelling, type Spelling } from './spelling.ts';
import { statsOn } from './stamp.ts';

export interface BucketDiskOptions {
  readonly bucket: string;
  /** The bucket's folder, without symbolic links in its path. */
  readonly root: string;
  readonly store: ObjectStore;
  readonly record: RecordChange;
  readonly newId: () => string;
  readonly now: () => number;
  /** Rejects when the folder at `root` is not the bucket's. */
  readonly assertThere: () => Promise<void>;
  /** As they are now. */
  readonly settings: () => BucketSettings;
  readonly hasHardKeys: boolean;
  readonly volume: Volume;
  /** Absent: nothing is encrypted. */
  readonly coding?: ContentCoding | undefined;
}

/** What all verbs of one bucket share: its folder, what is kept of its objects, its locks, and the record of its changes. */
export class BucketDisk {
  readonly bucket: string;
  readonly root: string;
  readonly store: ObjectStore;
  readonly newId: () => string;
  readonly now: () => number;
  readonly names: FolderNames;
  readonly place: FolderPlace;
  readonly spelling: Spelling;
  readonly coding: ContentCoding | undefined;
  /** Writers of one key take turns at the commit, so that a condition holds at the moment it is acted on. */
  readonly locks: KeyedLock = createKeyedLock();
  /** Commits pass; who removes the bucket is alone. */
  readonly gate: Gate = createGate();
  /** False: no key of this bucket is a hard one, so nobody needs to look. */
  hasHardKeys: boolean;
  /** What the bucket's folder lies on; another one when another disk was mounted there. */
  volume: Volume;
  /** Brings a change to its end, with nobody else at its key. */
  recover: (intent: Intent) => Promise<void> = async () => undefined;
  readonly #begun = new Map<string, Intent>();
  readonly #settings: () => BucketSettings;
  readonly #record: RecordChange;
  readonly #assertThere: () => Promise<void>;

  constructor(options: BucketDiskOptions) {
    const { bucket, root, store, newId, now, coding, locks } = { ...options, locks: this.locks };
    this.bucket = bucket;
    this.root = root;
    this.store = store;
    this.newId = newId;
    this.now = now;
    this.coding = coding;
    this.hasHardKeys = options.hasHardKeys;
    this.volume = options.volume;
    const [volume, temporary] = [() => this.volume, () => this.privateDirectory('tmp')];
    this.names = createFolderNames(root, volume);
    this.spelling = createSpelling({ root, names: this.names, volume, newId, temporary });
    this.place = createFolderPlace({ bucket, root, store, locks, newId, temporary, volume, spelling: this.spelling });
    this.#settings = options.settings;
    this.#record = options.record;
    this.#assertThere = options.assertThere;
  }

  get settings(): BucketSettings {
    return this.#settings();
  }

  /** What is at a path; inodes that are made up are 0. `undefined` when nothing is there. */
  lookAt(path: string): BigIntStats | undefined {
    const stats = lookAt(path);
    return stats && statsOn(this.volume, stats);
  }

  /** The same of an open file. */
  fstat(fd: number): BigIntStats {
    return statsOn(this.volume, fstat(fd));
  }

  /** After each commit, before the write is acknowledged. */
  async record(change: Omit<Change, 'bucket'>): Promise<void> {
    await this.#record({ bucket: this.bucket, ...change });
  }

  async recordDeleted(keys: readonly string[], more: Pick<Change, 'versionId' | 'isHard'> = {}): Promise<void> {
    for (const key of keys) await this.record({ key, kind: 'delete', sizeBytes: 0, mtimeMs: this.now(), etag: '', ...more });
  }

  /** Runs a write; the disk's faults become such as the writer may know. */
  async writing<T>(task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      throw writeFault(error, this.bucket);
    }
  }

  /**
   * Runs the part of a write that changes what others see, with nobody else at the same keys. A change of these keys that was begun and
   * did not come to its end, because the disk or the database failed, is brought to one first.
   */
  async committing<T>(keys: readonly string[], task: () => Promise<T>): Promise<T> {
    const settle = async (): Promise<void> => {
      for (const key of keys) {
        const intent = this.#begun.get(key);
        if (intent) await this.recover(intent);
      }
    };
    const settled = async (): Promise<T> => {
      await settle();
      try {
        return await task();
      } catch (error) {
        // What fails again is tried again by the next who comes.
        await settle().catch(() => undefined);
        throw error;
      }
    };
    const alike = keys.map((key) => this.spelling.alike(key)).filter((word) => word !== undefined);
    const locked = [...new Set([...keys, ...alike])]
      .toSorted()
      .reduceRight<() => Promise<T>>((inner, key) => () => this.locks.run(key, inner), settled);
    return await this.writing(() => this.gate.pass(locked));
  }

  /** Changes rows; changes that are begun are known until they end. */
  async write(changes: readonly StoreChange[]): Promise<void> {
    for (const change of changes) {
      if (change.kind === 'begin') this.#begun.set(change.intent.key, { bucket: this.bucket, ...change.intent });
    }
    await this.store.write(this.bucket, changes);
    for (const change of changes) if (change.kind === 'end') this.#begun.delete(change.key);
  }

  /** One of our own folders in the bucket, made when it is missing. Errors: `failed_precondition` when something else has its name. */
  async privateDirectory(...names: readonly string[]): Promise<Directory> {
    return await this.ownDirectory([privateFolder, ...names]);
  }

  /** The same by the names from the bucket's folder on. */
  async ownDirectory(folders: readonly string[]): Promise<Directory> {
    try {
      return await this.#openOrMake(folders);
    } catch (error) {
      if (!isSystemError(error, 'ELOOP', 'ENOTDIR')) throw error;
      throw failedPrecondition(`Cannot write to bucket "${this.bucket}": "${privateFolder}" in it is a link or a file`, {
        reason: 'private_folder_taken',
        hint: `Remove or rename "${privateFolder}" in the bucket's folder; Cellar makes a folder of that name there.`,
        cause: error,
      });
    }
  }

  async #openOrMake(folders: readonly string[]): Promise<Directory> {
    try {
      return openDirectory(this.root, folders);
    } catch (error) {
      if (!isSystemError(error, 'ENOENT')) throw error;
    }
    // Where a disk was they are missing too.
    await this.#assertThere();
    for (let depth = 1; depth <= folders.length; depth++) {
      using parent = openDirectory(this.root, folders.slice(0, depth - 1));
      try {
        await mkdir(parent.at(folders[depth - 1]!));
        await parent.sync();
      } catch (error) {
        if (!isSystemError(error, 'EEXIST')) throw error;
      }
    }
    return openDirectory(this.root, folders);
  }

  /** Removes what writes left behind when the process was killed. Only while no other process writes to this bucket. */
  async sweep(): Promise<void> {
    using temporary = this.place.find([privateFolder, 'tmp']);
    if (!temporary) return;
    for (const name of await readdir(temporary.at('.'))) await removeTree(temporary, name, () => this.newId());
  }
}
