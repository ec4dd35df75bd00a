import { type BigIntStats, constants } from 'node:fs';
import { join } from 'node:path';
import { aborted, Fault } from '#kernel/fault.ts';
import { type ByteRange, rangeSizeBytes } from '#lib/byte-range.ts';
import { isSystemError } from '#lib/system-error.ts';
import type { ObjectContent, ObjectInfo } from '#s3/backend.ts';
import type { BucketDisk } from './bucket-disk.ts';
import { assertOpened } from './directory.ts';
import { createFileBytes, readPart } from './file-bytes.ts';
import { close, fstat, noSuchKey, open, statsOf } from './fs.ts';
import { type KeyPath, parseKey } from './key-path.ts';
import { describe } from './object-info.ts';
import { stampOf } from './stamp.ts';

/** Objects up to this size are read into memory at once, which is faster than a stream. */
const wholeReadSizeBytesMax = 1024 * 1024;

/** Reads the objects of one bucket. Errors: `no_such_key`. */
export class ObjectReader {
  readonly #disk: BucketDisk;

  constructor(disk: BucketDisk) {
    this.#disk = disk;
  }

  async head(key: string): Promise<ObjectInfo> {
    const path = parseKey(key);
    if (path.isFolder) return await this.#headFolder(key, path);
    const { fd, stats } = await this.#openFile(key, path);
    close(fd);
    return await this.#disk.infoOf(key, stats);
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
      const info = await this.#disk.infoOf(key, stats);
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

  /** The object as it is now, for conditions. */
  async find(key: string): Promise<ObjectInfo | undefined> {
    try {
      return await this.head(key);
    } catch (error) {
      if (error instanceof Fault && error.reason === 'no_such_key') return undefined;
      throw error;
    }
  }

  async #openFile(key: string, { folders, name }: KeyPath): Promise<{ fd: number; stats: BigIntStats }> {
    const path = join(this.#disk.root, ...folders, name);
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

  /** A folder is an object when somebody asked for it, or when others made it and it is empty and would be in no listing otherwise. */
  async #headFolder(key: string, { folders, name }: KeyPath): Promise<ObjectInfo> {
    const { bucket, names, place, store } = this.#disk;
    using directory = await place.find([...folders, name]);
    if (!directory) throw noSuchKey(key);
    const stats = fstat(directory.fd);
    const row = await store.find(bucket, key, stampOf(stats));
    if (row?.kind === 'implicit' || (!row && (await names.of([...folders, name])).length > 0)) throw noSuchKey(key);
    return describe(key, stats, row);
  }
}
