import { invalidArgument } from '#kernel/fault.ts';
import { isSystemError } from '#lib/system-error.ts';
import type { ObjectBody, ObjectInfo, PutOptions, WriteCondition } from '#s3/backend.ts';
import type { BucketDisk } from './bucket-disk.ts';
import type { FolderMarkers } from './folder-markers.ts';
import { isRemoved, statsOf, unlink } from './fs.ts';
import { folderHasNoContent, parseKey } from './key-path.ts';
import { withContentType } from './object-info.ts';
import type { ObjectReader } from './object-reader.ts';
import { type TemporaryFile, writeTemporaryFile } from './temporary-file.ts';

export interface CommitOptions extends PutOptions {
  readonly etag: string;
  readonly checksums: ObjectInfo['checksums'];
}

/** A folder may vanish between being found and being written to, when its last object is deleted at that moment. */
const attemptsMax = 8;

/** Writes and deletes the objects of one bucket, which are files below one folder. The verbs are those of `Backend`. */
export class ObjectWriter {
  readonly #disk: BucketDisk;
  readonly #reader: ObjectReader;
  readonly #markers: FolderMarkers;

  constructor(disk: BucketDisk, reader: ObjectReader, markers: FolderMarkers) {
    this.#disk = disk;
    this.#reader = reader;
    this.#markers = markers;
  }

  async put(key: string, body: ObjectBody, options: PutOptions): Promise<ObjectInfo> {
    if (parseKey(key).isFolder) return await this.#putFolder(key, body, options);
    return await this.#disk.writing(async () => {
      using temporary = await this.#disk.privateDirectory('tmp');
      await using file = await writeTemporaryFile(temporary, this.#disk.newId(), body);
      const { md5Hex, checksums } = file.digest;
      return await this.commit(key, file, { ...options, etag: md5Hex, checksums });
    });
  }

  /** Gives a written file its key. The commit point of every write: before it nothing is visible, after it everything is. */
  async commit(key: string, file: TemporaryFile, options: CommitOptions): Promise<ObjectInfo> {
    const { bucket, locks, store } = this.#disk;
    const { folders, name } = parseKey(key);
    const { etag, checksums, headers = {} } = options;
    return await locks.run(key, async () => {
      const current = options.condition && (await this.#reader.find(key));
      options.condition?.(current);
      await store.put(bucket, { key, stamp: file.stamp, kind: 'object', etag, headers, checksums });
      const wasThere = await this.#moveIn(file, folders, name);
      if (wasThere) await store.prune(bucket, key, file.stamp);
      const { sizeBytes, mtimeMs } = file;
      await this.#disk.record({ key, kind: 'put', sizeBytes, mtimeMs, etag });
      return { key, sizeBytes, mtimeMs, etag, headers: withContentType(key, headers), checksums };
    });
  }

  async delete(key: string, condition?: WriteCondition): Promise<void> {
    const { bucket, locks, place, store } = this.#disk;
    const { folders, name, isFolder } = parseKey(key);
    await this.#disk.writing(() =>
      locks.run(key, async () => {
        using parent = await place.find(folders);
        const stats = parent && (await statsOf(parent.at(name)));
        if (!parent || !stats || (isFolder ? !stats.isDirectory() : !stats.isFile())) return;
        if (condition) condition(isFolder ? await this.#reader.find(key) : await this.#disk.infoOf(key, stats));
        if (!(isFolder ? await this.#markers.delete(key, parent.at(name), stats) : await isRemoved(unlink(parent.at(name)))))
          return;
        await parent.sync();
        await store.remove(bucket, key);
        await this.#disk.recordDeleted([key]);
        await this.#disk.recordDeleted(await place.prune(folders));
      }),
    );
  }

  /** Moves a file to its place and makes that durable. True when another file was there. */
  async #moveIn(file: TemporaryFile, folders: readonly string[], name: string): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      using parent = await this.#disk.place.ensure(folders);
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

  async #putFolder(key: string, body: ObjectBody, options: PutOptions): Promise<ObjectInfo> {
    for await (const piece of body.bytes) {
      if (piece.length > 0) throw folderHasNoContent(key);
    }
    await body.verify();
    return await this.#markers.make(key, options.headers ?? {}, options.condition);
  }
}
