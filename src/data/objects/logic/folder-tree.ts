import { alreadyExists, failedPrecondition, invalidArgument } from '#kernel/fault.ts';
import { isSystemError } from '#lib/system-error.ts';
import type { ObjectInfo } from '#s3/backend.ts';
import type { BucketDisk } from './bucket-disk.ts';
import type { FolderMarkers } from './folder-markers.ts';
import { noSuchKey, remove, rename, rmdir, statsOf } from './fs.ts';
import { parseKey } from './key-path.ts';

/** What is at a path: a file, or a folder. */
export interface Entry {
  readonly kind: 'file' | 'folder';
  readonly info: ObjectInfo;
}

/** The verbs of one bucket that a tree of files and folders needs and S3 does not have. Paths are keys; `/` at the end of a folder's is optional. */
export class FolderTree {
  readonly #disk: BucketDisk;
  readonly #markers: FolderMarkers;

  constructor(disk: BucketDisk, markers: FolderMarkers) {
    this.#disk = disk;
    this.#markers = markers;
  }

  /** Makes a folder that stays when it is empty. Nothing happens when it is there. */
  async mkdir(path: string): Promise<ObjectInfo> {
    return await this.#markers.make(folderKey(path), {}, undefined);
  }

  /** What is at a path, with or without `/` at its end; the empty path is the bucket's folder. Errors: `no_such_key`. */
  async stat(path: string): Promise<Entry> {
    const { folders, name } = path === '' ? { folders: [], name: '.' } : parseKey(path);
    using parent = await this.#disk.place.find(folders);
    const stats = parent && (await statsOf(parent.at(name)));
    if (stats?.isFile() && !path.endsWith('/')) return { kind: 'file', info: await this.#disk.infoOf(path, stats) };
    if (stats?.isDirectory()) return { kind: 'folder', info: await this.#disk.infoOf(path === '' ? '' : folderKey(path), stats) };
    throw noSuchKey(path);
  }

  /**
   * Gives a file or folder another path in this bucket; missing folders on the way are made.
   *
   * With `replace` a file may take the place of a file. Durable when it resolves.
   * Errors: `no_such_key`; `already_exists` with reason `key_exists`; `invalid_argument` for a folder into itself.
   */
  async move(from: string, to: string, options: { readonly replace?: boolean } = {}): Promise<void> {
    const { bucket, locks, place, store } = this.#disk;
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
    await this.#disk.writing(() =>
      locks.run(first, () =>
        locks.run(second, async () => {
          using fromParent = await place.find(source.folders);
          if (!fromParent || !(await statsOf(fromParent.at(source.name)))) throw noSuchKey(from);
          using toParent = await place.ensure(target.folders);
          const there = await statsOf(toParent.at(target.name));
          if (there && !(options.replace && kind === 'file' && there.isFile())) {
            throw alreadyExists(`Cannot move to ${JSON.stringify(to)}: something is there`, { reason: 'key_exists' });
          }
          await rename(fromParent.at(source.name), toParent.at(target.name));
          await Promise.all([fromParent.sync(), toParent.sync()]);
          if (kind === 'folder') await store.moveTree(bucket, fromKey, toKey);
          else await store.move(bucket, fromKey, toKey);
          const { info } = await this.stat(toKey);
          const { sizeBytes, mtimeMs, etag } = info;
          await this.#disk.record({ key: toKey, kind: 'move', fromKey, sizeBytes, mtimeMs, etag });
          await this.#disk.recordDeleted(await place.prune(source.folders));
        }),
      ),
    );
  }

  /**
   * Removes a folder; with `recursive` also all that is in it, which vanishes at once and is erased before this resolves.
   * Errors: `no_such_key`; `failed_precondition` with reason `folder_not_empty`.
   */
  async removeFolder(path: string, options: { readonly recursive?: boolean } = {}): Promise<void> {
    const { bucket, locks, place, store } = this.#disk;
    const key = folderKey(path);
    const { folders, name } = parseKey(key);
    await this.#disk.writing(() =>
      locks.run(key, async () => {
        using parent = await place.find(folders);
        if (!parent || !(await statsOf(parent.at(name)))?.isDirectory()) throw noSuchKey(key);
        using temporary = await this.#disk.privateDirectory('tmp');
        const away = temporary.at(this.#disk.newId());
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
        await store.removeTree(bucket, key);
        await this.#disk.recordDeleted([key]);
        await this.#disk.recordDeleted(await place.prune(folders));
        if (options.recursive) await remove(away, { recursive: true, force: true });
      }),
    );
  }
}

const folderKey = (path: string): string => (path.endsWith('/') ? path : `${path}/`);
