import { createHash } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import { join } from 'node:path';
import { aborted, alreadyExists, failedPrecondition, invalidArgument } from '#kernel/fault.ts';
import { type ByteRange, rangeSizeBytes } from '#lib/byte-range.ts';
import { fileEtag, modifyTimeUs } from '#lib/file-etag.ts';
import { createKeyedLock, type KeyedLock } from '#lib/keyed-lock.ts';
import type {
  ListPage,
  ListQuery,
  ObjectBody,
  ObjectContent,
  ObjectHeaders,
  ObjectInfo,
  PutOptions,
  WriteCondition,
} from '#s3/backend.ts';
import type { ObjectRow, ObjectStore } from '../store/store.ts';
import type { RecordChange } from './change.ts';
import { contentTypeOf } from './content-type.ts';
import { assertOpened, type Directory, openDirectory } from './directory.ts';
import { createFileBytes, readPart } from './file-bytes.ts';
import { listFolder } from './folder-list.ts';
import { createFolderNames, type FolderNames } from './folder-names.ts';
import { createFolderPlace, type FolderPlace } from './folder-place.ts';
import {
  close,
  fstat,
  isSystemError,
  lstat,
  mkdir,
  noSuchKey,
  open,
  readdir,
  remove,
  rename,
  rmdir,
  unlink,
  writeFault,
} from './fs.ts';
import { type KeyPath, parseKey, privateFolder } from './key-path.ts';
import { mtimeMsOf, stampOf } from './stamp.ts';
import { type TemporaryFile, writeTemporaryFile } from './temporary-file.ts';

export interface FolderBucketOptions {
  readonly bucket: string;
  /** The bucket's folder, without symbolic links in its path. */
  readonly root: string;
  readonly store: ObjectStore;
  readonly record: RecordChange;
  readonly newId: () => string;
  /** Rejects when the folder at `root` is not the bucket's. */
  readonly assertThere: () => Promise<void>;
}

/** What is at a key: a file, or a folder. */
export interface Entry {
  readonly kind: 'file' | 'folder';
  readonly info: ObjectInfo;
}

export interface CommitOptions extends PutOptions {
  readonly etag: string;
  readonly checksums: ObjectInfo['checksums'];
}

/** Objects up to this size are read into memory at once, which is faster than a stream. */
const wholeReadSizeBytesMax = 1024 * 1024;
/** A folder may vanish between being found and being written to, when its last object is deleted at that moment. */
const attemptsMax = 8;
const emptyMd5 = createHash('md5').digest('hex');

/** The objects of one bucket as files below one folder. The verbs are those of `Backend`, and some that S3 does not have. */
export class FolderBucket {
  readonly bucket: string;
  readonly root: string;
  readonly #store: ObjectStore;
  readonly #record: RecordChange;
  readonly #newId: () => string;
  readonly #assertThere: () => Promise<void>;
  readonly #names: FolderNames;
  readonly #place: FolderPlace;
  /** Writers of one key take turns at the commit, so that a condition holds at the moment it is acted on. */
  readonly #locks: KeyedLock = createKeyedLock();

  constructor({ bucket, root, store, record, newId, assertThere }: FolderBucketOptions) {
    this.bucket = bucket;
    this.root = root;
    this.#store = store;
    this.#record = record;
    this.#newId = newId;
    this.#assertThere = assertThere;
    this.#names = createFolderNames(root);
    this.#place = createFolderPlace(bucket, root, store);
  }

  list(query: ListQuery): Promise<ListPage> {
    return listFolder({ bucket: this.bucket, root: this.root, store: this.#store, names: this.#names }, query);
  }

  async head(key: string): Promise<ObjectInfo> {
    const path = parseKey(key);
    if (path.isFolder) return await this.#headFolder(key, path);
    const { fd, stats } = await this.#openFile(key, path);
    close(fd);
    return await this.#infoOf(key, stats);
  }

  async get(key: string, select: (info: ObjectInfo) => ByteRange | undefined): Promise<ObjectContent> {
    const path = parseKey(key);
    if (path.isFolder) {
      const info = await this.#headFolder(key, path);
      return { info, range: select(info), body: new Uint8Array(0) };
    }
    const { fd, stats } = await this.#openFile(key, path);
    let isHandedOver = false;
    try {
      const info = await this.#infoOf(key, stats);
      const range = select(info);
      const part = range ?? { first: 0, last: info.sizeBytes - 1 };
      if (rangeSizeBytes(part) > wholeReadSizeBytesMax) {
        isHandedOver = true;
        return { info, range, body: createFileBytes(fd, part) };
      }
      const body = await readPart(fd, part);
      if (body.length !== rangeSizeBytes(part)) throw aborted(`Object ${JSON.stringify(key)} was cut short while it was read`);
      return { info, range, body };
    } finally {
      if (!isHandedOver) close(fd);
    }
  }

  async put(key: string, body: ObjectBody, options: PutOptions): Promise<ObjectInfo> {
    const path = parseKey(key);
    if (path.isFolder) return await this.#putFolder(key, path, body, options);
    return await this.#writing(async () => {
      using temporary = await this.privateDirectory('tmp');
      await using file = await writeTemporaryFile(temporary, this.#newId(), body);
      const { md5Hex, checksums } = file.digest;
      return await this.commit(key, file, { ...options, etag: md5Hex, checksums });
    });
  }

  /** Gives a written file its key. The commit point of every write: before it nothing is visible, after it everything is. */
  async commit(key: string, file: TemporaryFile, options: CommitOptions): Promise<ObjectInfo> {
    const { folders, name } = parseKey(key);
    const { etag, checksums, headers = {} } = options;
    return await this.#locks.run(key, async () => {
      const current = options.condition && (await this.#current(key));
      options.condition?.(current);
      await this.#store.put(this.bucket, { key, stamp: file.stamp, kind: 'object', etag, headers, checksums });
      const wasThere = await this.#moveIn(file, folders, name);
      if (wasThere) await this.#store.prune(this.bucket, key, file.stamp);
      const { sizeBytes, mtimeMs } = file;
      await this.#record({ bucket: this.bucket, key, kind: 'put', sizeBytes, mtimeMs, etag });
      return { key, sizeBytes, mtimeMs, etag, headers: withContentType(key, headers), checksums };
    });
  }

  async delete(key: string, condition?: WriteCondition): Promise<void> {
    const { folders, name, isFolder } = parseKey(key);
    await this.#writing(() =>
      this.#locks.run(key, async () => {
        using parent = await this.#place.find(folders);
        const stats = parent && (await statsOf(parent.at(name)));
        if (!parent || !stats || (isFolder ? !stats.isDirectory() : !stats.isFile())) return;
        if (condition) condition(isFolder ? await this.#current(key) : await this.#infoOf(key, stats));
        if (!(isFolder ? await this.#deleteMarker(key, parent.at(name), stats) : await isRemoved(unlink(parent.at(name)))))
          return;
        await parent.sync();
        await this.#store.remove(this.bucket, key);
        await this.#recordDeleted([key]);
        await this.#recordDeleted(await this.#place.prune(folders));
      }),
    );
  }

  /** Makes a folder that stays when it is empty. Nothing happens when it is there. */
  async mkdir(path: string): Promise<ObjectInfo> {
    const key = folderKey(path);
    return await this.#makeMarker(key, parseKey(key), {}, undefined);
  }

  /** What is at a path, with or without `/` at its end; the empty path is the bucket's folder. Errors: `no_such_key`. */
  async stat(path: string): Promise<Entry> {
    const { folders, name } = path === '' ? { folders: [], name: '.' } : parseKey(path);
    using parent = await this.#place.find(folders);
    const stats = parent && (await statsOf(parent.at(name)));
    if (stats?.isFile() && !path.endsWith('/')) return { kind: 'file', info: await this.#infoOf(path, stats) };
    if (stats?.isDirectory()) return { kind: 'folder', info: await this.#infoOf(path === '' ? '' : folderKey(path), stats) };
    throw noSuchKey(path);
  }

  /**
   * Gives a file or folder another path in this bucket; missing folders on the way are made.
   *
   * With `replace` a file may take the place of a file. Durable when it resolves.
   * Errors: `no_such_key`; `already_exists` with reason `key_exists`; `invalid_argument` for a folder into itself.
   */
  async move(from: string, to: string, options: { readonly replace?: boolean } = {}): Promise<void> {
    const source = parseKey(from);
    const target = parseKey(to);
    const { kind } = await this.stat(from);
    const [fromKey, toKey] = kind === 'folder' ? [folderKey(from), folderKey(to)] : [from, to];
    if (fromKey === toKey) return;
    if (kind === 'file' && target.isFolder)
      throw invalidArgument(`Cannot move file ${JSON.stringify(from)} to a folder's path`, { reason: 'invalid_key' });
    if (kind === 'folder' && toKey.startsWith(fromKey)) {
      throw invalidArgument(`Cannot move folder ${JSON.stringify(from)} into itself`, { reason: 'key_conflict' });
    }
    const [first, second] = [fromKey, toKey].sort() as [string, string];
    await this.#writing(() =>
      this.#locks.run(first, () =>
        this.#locks.run(second, async () => {
          using fromParent = await this.#place.find(source.folders);
          if (!fromParent || !(await statsOf(fromParent.at(source.name)))) throw noSuchKey(from);
          using toParent = await this.#place.ensure(target.folders);
          const there = await statsOf(toParent.at(target.name));
          if (there && !(options.replace && kind === 'file' && there.isFile())) {
            throw alreadyExists(`Cannot move to ${JSON.stringify(to)}: something is there`, { reason: 'key_exists' });
          }
          await rename(fromParent.at(source.name), toParent.at(target.name));
          await Promise.all([fromParent.sync(), toParent.sync()]);
          if (kind === 'folder') await this.#store.moveTree(this.bucket, fromKey, toKey);
          else await this.#store.move(this.bucket, fromKey, toKey);
          const { info } = await this.stat(toKey);
          const { sizeBytes, mtimeMs, etag } = info;
          await this.#record({ bucket: this.bucket, key: toKey, kind: 'move', fromKey, sizeBytes, mtimeMs, etag });
          await this.#recordDeleted(await this.#place.prune(source.folders));
        }),
      ),
    );
  }

  /**
   * Removes a folder; with `recursive` also all that is in it, which vanishes at once and is erased before this resolves.
   * Errors: `no_such_key`; `failed_precondition` with reason `folder_not_empty`.
   */
  async removeFolder(path: string, options: { readonly recursive?: boolean } = {}): Promise<void> {
    const key = folderKey(path);
    const { folders, name } = parseKey(key);
    await this.#writing(() =>
      this.#locks.run(key, async () => {
        using parent = await this.#place.find(folders);
        if (!parent || !(await statsOf(parent.at(name)))?.isDirectory()) throw noSuchKey(key);
        using temporary = await this.privateDirectory('tmp');
        const away = temporary.at(this.#newId());
        try {
          if (options.recursive) await rename(parent.at(name), away);
          else await rmdir(parent.at(name));
        } catch (error) {
          if (!isSystemError(error, 'ENOTEMPTY', 'EEXIST')) throw error;
          throw failedPrecondition(`Cannot remove folder ${JSON.stringify(path)}: it is not empty`, {
            reason: 'folder_not_empty',
            cause: error,
          });
        }
        await parent.sync();
        await this.#store.removeTree(this.bucket, key);
        await this.#recordDeleted([key]);
        await this.#recordDeleted(await this.#place.prune(folders));
        if (options.recursive) await remove(away, { recursive: true, force: true });
      }),
    );
  }

  /** Removes what writes left behind when the process was killed. Only while no other process writes to this bucket. */
  async sweep(): Promise<void> {
    using temporary = await this.#place.find([privateFolder, 'tmp']);
    if (!temporary) return;
    for (const name of await readdir(temporary.at('.'))) await remove(temporary.at(name), { recursive: true, force: true });
  }

  /** One of our own folders in the bucket, made when it is missing. Errors: `failed_precondition` when something else has its name. */
  async privateDirectory(...names: readonly string[]): Promise<Directory> {
    const folders = [privateFolder, ...names];
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
      return await openDirectory(this.root, folders);
    } catch (error) {
      if (!isSystemError(error, 'ENOENT')) throw error;
    }
    // Where a disk was they are missing too.
    await this.#assertThere();
    for (let depth = 1; depth <= folders.length; depth++) {
      using parent = await openDirectory(this.root, folders.slice(0, depth - 1));
      try {
        await mkdir(parent.at(folders[depth - 1]!));
        await parent.sync();
      } catch (error) {
        if (!isSystemError(error, 'EEXIST')) throw error;
      }
    }
    return await openDirectory(this.root, folders);
  }

  async #openFile(key: string, { folders, name }: KeyPath): Promise<{ fd: number; stats: BigIntStats }> {
    const path = join(this.root, ...folders, name);
    let fd: number;
    try {
      // Without O_NONBLOCK a named pipe would wait here for its writer.
      fd = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      // A socket cannot be opened; a disk that fails says the same of a file.
      const isNoFile = isSystemError(error, 'ENXIO') && !(await statsOf(path))?.isFile();
      throw isNoFile || isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP') ? noSuchKey(key) : error;
    }
    try {
      const stats = fstat(fd);
      if (!stats.isFile()) throw noSuchKey(key);
      await assertOpened(fd, path);
      return { fd, stats };
    } catch (error) {
      close(fd);
      throw isSystemError(error, 'ENOENT', 'ELOOP') ? noSuchKey(key) : error;
    }
  }

  /** A folder is an object when somebody asked for it, or when it is empty and would be in no listing otherwise. */
  async #headFolder(key: string, { folders, name }: KeyPath): Promise<ObjectInfo> {
    using directory = await this.#place.find([...folders, name]);
    if (!directory) throw noSuchKey(key);
    const stats = fstat(directory.fd);
    const row = await this.#store.find(this.bucket, key, stampOf(stats));
    if (row?.kind !== 'marker' && (await this.#names.of([...folders, name])).length > 0) throw noSuchKey(key);
    return describe(key, stats, row);
  }

  async #infoOf(key: string, stats: BigIntStats): Promise<ObjectInfo> {
    return describe(key, stats, await this.#store.find(this.bucket, key, stampOf(stats)));
  }

  async #current(key: string): Promise<ObjectInfo | undefined> {
    try {
      return await this.head(key);
    } catch (error) {
      if (error instanceof Error && 'reason' in error && error.reason === 'no_such_key') return undefined;
      throw error;
    }
  }

  /** Moves a file to its place and makes that durable. True when another file was there. */
  async #moveIn(file: TemporaryFile, folders: readonly string[], name: string): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      using parent = await this.#place.ensure(folders);
      const wasThere = (await statsOf(parent.at(name))) !== undefined;
      try {
        await file.moveTo(parent.at(name));
      } catch (error) {
        if (isSystemError(error, 'EISDIR', 'ENOTEMPTY', 'EEXIST')) {
          throw invalidArgument(`Cannot write ${JSON.stringify([...folders, name].join('/'))}: a folder has this name`, {
            reason: 'key_conflict',
            cause: error,
          });
        }
        if (isSystemError(error, 'ENOENT') && attempt < attemptsMax) continue;
        throw error;
      }
      await parent.sync();
      return wasThere;
    }
  }

  async #putFolder(key: string, path: KeyPath, body: ObjectBody, options: PutOptions): Promise<ObjectInfo> {
    for await (const piece of body.bytes) {
      if (piece.length > 0) {
        throw invalidArgument(`Cannot write ${JSON.stringify(key)}: a key that ends with "/" is a folder and has no content`, {
          reason: 'invalid_key',
        });
      }
    }
    await body.verify();
    return await this.#makeMarker(key, path, options.headers ?? {}, options.condition);
  }

  async #makeMarker(
    key: string,
    { folders, name }: KeyPath,
    headers: ObjectHeaders,
    condition: WriteCondition | undefined,
  ): Promise<ObjectInfo> {
    return await this.#writing(() =>
      this.#locks.run(key, async () => {
        if (condition) condition(await this.#current(key));
        using directory = await this.#place.ensure([...folders, name]);
        const stats = fstat(directory.fd);
        const row: ObjectRow = { key, stamp: stampOf(stats), kind: 'marker', etag: emptyMd5, headers, checksums: {} };
        await this.#store.put(this.bucket, row);
        await this.#store.prune(this.bucket, key, row.stamp);
        await this.#record({ bucket: this.bucket, key, kind: 'mkdir', sizeBytes: 0, mtimeMs: mtimeMsOf(stats), etag: row.etag });
        return describe(key, stats, row);
      }),
    );
  }

  /** Removes an empty folder. One with content loses only its marker: it goes with its last object. True when it is gone. */
  async #deleteMarker(key: string, path: string, stats: BigIntStats): Promise<boolean> {
    try {
      return await isRemoved(rmdir(path));
    } catch (error) {
      if (!isSystemError(error, 'ENOTEMPTY', 'EEXIST')) throw error;
    }
    const row = await this.#store.find(this.bucket, key, stampOf(stats));
    if (row?.kind === 'marker') await this.#store.put(this.bucket, { ...row, kind: 'implicit', headers: {} });
    return false;
  }

  async #recordDeleted(keys: readonly string[]): Promise<void> {
    for (const key of keys)
      await this.#record({ bucket: this.bucket, key, kind: 'delete', sizeBytes: 0, mtimeMs: Date.now(), etag: '' });
  }

  async #writing<T>(task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      throw writeFault(error, this.bucket);
    }
  }
}

const folderKey = (path: string): string => (path.endsWith('/') ? path : `${path}/`);

/** What to tell about a file or folder, from its state on disk and the row of that very state. */
export function describe(key: string, stats: BigIntStats, row: ObjectRow | undefined): ObjectInfo {
  const isFolder = stats.isDirectory();
  return {
    key,
    sizeBytes: isFolder ? 0 : Number(stats.size),
    mtimeMs: mtimeMsOf(stats),
    etag: row?.etag || (isFolder ? emptyMd5 : unreadEtag(stats)),
    headers: withContentType(key, row?.headers ?? {}),
    checksums: row?.checksums ?? {},
  };
}

const unreadEtag = (stats: BigIntStats): string =>
  fileEtag({ sizeBytes: Number(stats.size), mtimeUs: modifyTimeUs(stats), inode: stats.ino });

const withContentType = (key: string, headers: ObjectHeaders): ObjectHeaders => ({ contentType: contentTypeOf(key), ...headers });

async function statsOf(path: string): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** False when there was nothing to remove. */
async function isRemoved(removal: Promise<void>): Promise<boolean> {
  try {
    await removal;
    return true;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
}
