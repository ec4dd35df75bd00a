import type { BigIntStats } from 'node:fs';
import { isSystemError } from '#lib/system-error.ts';
import type { ObjectHeaders, ObjectInfo, WriteCondition } from '#s3/backend.ts';
import type { ObjectRow } from '../store/store.ts';
import type { BucketDisk } from './bucket-disk.ts';
import { fstat, isRemoved, rmdir } from './fs.ts';
import { parseKey } from './key-path.ts';
import { describe, emptyMd5 } from './object-info.ts';
import type { ObjectReader } from './object-reader.ts';
import { mtimeMsOf, stampOf } from './stamp.ts';

/** Folders that are objects: made on purpose, they stay when they are empty. */
export class FolderMarkers {
  readonly #disk: BucketDisk;
  readonly #reader: ObjectReader;

  constructor(disk: BucketDisk, reader: ObjectReader) {
    this.#disk = disk;
    this.#reader = reader;
  }

  async make(key: string, headers: ObjectHeaders, condition: WriteCondition | undefined): Promise<ObjectInfo> {
    const { bucket, locks, place, store } = this.#disk;
    const { folders, name } = parseKey(key);
    return await this.#disk.writing(() =>
      locks.run(key, async () => {
        if (condition) condition(await this.#reader.find(key));
        using directory = await place.ensure([...folders, name]);
        const stats = fstat(directory.fd);
        const row: ObjectRow = { key, stamp: stampOf(stats), kind: 'marker', etag: emptyMd5, headers, checksums: {} };
        await store.put(bucket, row);
        await store.prune(bucket, key, row.stamp);
        await this.#disk.record({ key, kind: 'mkdir', sizeBytes: 0, mtimeMs: mtimeMsOf(stats), etag: row.etag });
        return describe(key, stats, row);
      }),
    );
  }

  /** Removes an empty folder. One with content loses only its marker: it goes with its last object. True when it is gone. */
  async delete(key: string, path: string, stats: BigIntStats): Promise<boolean> {
    const { bucket, store } = this.#disk;
    try {
      return await isRemoved(rmdir(path));
    } catch (error) {
      if (!isSystemError(error, 'ENOTEMPTY', 'EEXIST')) throw error;
    }
    const row = await store.find(bucket, key, stampOf(stats));
    if (row?.kind === 'marker') await store.put(bucket, { ...row, kind: 'implicit', headers: {} });
    return false;
  }
}
