import { isSystemError } from '#lib/system-error.ts';
import type { ObjectInfo, WriteCondition } from '#s3/backend.ts';
import type { ObjectRow, StoredObject } from '../store/store.ts';
import type { BucketDisk } from './bucket-disk.ts';
import { isRemoved, rmdir } from './fs.ts';
import { parseKey } from './key-path.ts';
import type { FoundObject, ObjectFinder } from './object-finder.ts';
import { describe, emptyMd5 } from './object-info.ts';
import { mtimeMsOf, stampOf } from './stamp.ts';

/** Folders that are objects: made on purpose, they stay when they are empty. */
export class FolderMarkers {
  readonly #disk: BucketDisk;
  readonly #finder: ObjectFinder;

  constructor(disk: BucketDisk, finder: ObjectFinder) {
    this.#disk = disk;
    this.#finder = finder;
  }

  async make(
    key: string,
    stored: Partial<StoredObject> & { readonly condition?: unknown },
    condition: WriteCondition | undefined,
  ): Promise<ObjectInfo> {
    const { place } = this.#disk;
    const { folders, name } = parseKey(key);
    const { condition: _, ...details } = stored;
    return await this.#disk.committing([key], async () => {
      const current = condition && (await this.#finder.find(key));
      condition?.(current && this.#finder.infoOf(current));
      using directory = await place.ensure([...folders, name]);
      const stats = this.#disk.fstat(directory.fd);
      const row: ObjectRow = {
        ...{ headers: {}, checksums: {}, ...details },
        ...{ key, stamp: stampOf(stats), kind: 'marker', etag: emptyMd5 },
      };
      await this.#disk.write([{ kind: 'put', row }]);
      await this.#disk.record({ key, kind: 'mkdir', sizeBytes: 0, mtimeMs: mtimeMsOf(stats), etag: row.etag });
      return describe(key, stats, row);
    });
  }

  /** Removes an empty folder. One with content loses only its marker: it goes with its last object. True when it is gone. */
  async delete(key: string, path: string, { stamp, row }: Pick<FoundObject, 'stamp' | 'row'>): Promise<boolean> {
    try {
      if (!(await isRemoved(rmdir(path)))) return false;
      await this.#disk.write([{ kind: 'remove_state', key, stamp }]);
      return true;
    } catch (error) {
      if (!isSystemError(error, 'ENOTEMPTY', 'EEXIST')) throw error;
    }
    const bare: ObjectRow = { key, stamp, kind: 'implicit', etag: '', headers: {}, checksums: {} };
    if (row?.kind === 'marker') await this.#disk.write([{ kind: 'put', row: bare }]);
    return false;
  }
}
