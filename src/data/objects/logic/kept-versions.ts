import { join } from 'node:path';
import { isSystemError } from '#lib/system-error.ts';
import type { StoreChange, VersionRow } from '../store/store.ts';
import type { BucketDisk } from './bucket-disk.ts';
import { copyFile, isRemoved, link, lookAt, open, readdir, rename, rmdir, unlink } from './fs.ts';
import { versionsPath } from './key-path.ts';
import { type FoundObject, versionIdOf } from './object-finder.ts';
import { emptyMd5, listed } from './object-info.ts';
import { mtimeMsOf, stampOf } from './stamp.ts';
import { syncFile, writeNewFile } from './write-file.ts';

/**
 * The contents of the versions of one bucket that are not the current ones: `.cellar/versions/<xx>/<hash of key>/<version id>`.
 *
 * What becomes noncurrent is linked there first and keeps its place until its successor takes that: at no moment it is nowhere.
 */
export class KeptVersions {
  readonly #disk: BucketDisk;

  constructor(disk: BucketDisk) {
    this.#disk = disk;
  }

  /** The row for the current object when it becomes noncurrent. */
  putOf(found: FoundObject): StoreChange {
    const { key, stats, row } = found;
    const { stamp, kind, ...stored } = row ?? { headers: {}, checksums: {}, stamp: '', kind: '' };
    const { sizeBytes, etag } = listed(key, stats, row);
    const version = {
      ...stored,
      key,
      versionId: versionIdOf(found),
      isDeleteMarker: false,
      sizeBytes,
      mtimeMs: mtimeMsOf(stats),
    };
    return { kind: 'put_version', row: { ...version, etag: etag || emptyMd5 } };
  }

  /** Puts the content of the current object among the versions; durable. False when the file is no longer the one that was found. */
  async keep(found: FoundObject): Promise<boolean> {
    const { root, newId } = this.#disk;
    const { key, path, stamp } = found;
    const folder = versionsPath(key);
    const isNew = lookAt(join(root, ...folder, keyFileName)) === undefined;
    using kept = await this.#disk.ownDirectory(folder);
    // Says whose versions these are, should the rows be lost.
    if (isNew) await writeNewFile(kept, keyFileName, newId(), key);
    const made = kept.at(`${temporaryPrefix}${newId()}`);
    const target = kept.at(versionIdOf(found));
    try {
      if (found.kind === 'folder') {
        await writeNewFile(kept, versionIdOf(found), newId(), '');
      } else {
        const source = join(root, ...path.folders, path.name);
        const isLink = await linkOrCopy(source, made);
        const stats = this.#disk.lookAt(isLink ? made : source);
        if (!stats || stampOf(stats) !== stamp) return false;
        await rename(made, target);
      }
      await kept.sync();
      return true;
    } catch (error) {
      // A file that was there a moment ago and is not now was taken by another program.
      if (isSystemError(error, 'ENOENT')) return false;
      throw error;
    } finally {
      // Renaming one link of a file to another one of the same file does nothing.
      await isRemoved(unlink(made));
    }
  }

  /** Path of the content of a noncurrent version. */
  pathOf({ key, versionId }: Pick<VersionRow, 'key' | 'versionId'>): string {
    return join(this.#disk.root, ...versionsPath(key), versionId);
  }

  /** Removes the content of a version that has no row any more; nothing happens when there is none. */
  async drop(key: string, versionId: string): Promise<void> {
    using kept = this.#disk.place.find(versionsPath(key));
    if (kept && (await isRemoved(unlink(kept.at(versionId))))) await kept.sync();
  }

  /** Removes what lies among the versions of a key without a row, and with the last one the folder. */
  async tidy(key: string): Promise<void> {
    using kept = this.#disk.place.find(versionsPath(key));
    if (!kept) return;
    const names = await readdir(kept.at('.'));
    const rows = await this.#disk.store.versionsOf(this.#disk.bucket, key);
    const known = new Set(rows.filter((row) => !row.isDeleteMarker).map(({ versionId }) => versionId));
    for (const name of names) if (name !== keyFileName && !known.has(name)) await isRemoved(unlink(kept.at(name)));
    if (known.size > 0) return;
    await isRemoved(unlink(kept.at(keyFileName)));
    try {
      await rmdir(join(this.#disk.root, ...versionsPath(key)));
    } catch (error) {
      if (!isSystemError(error, 'ENOENT', 'ENOTEMPTY', 'EEXIST')) throw error;
    }
  }
}

/** Has the key in it whose versions lie beside it. */
export const keyFileName = 'key';
const temporaryPrefix = 'tmp-';

/** True for a link; a file system without them gets a copy. */
async function linkOrCopy(source: string, target: string): Promise<boolean> {
  try {
    await link(source, target);
    return true;
  } catch (error) {
    if (!isSystemError(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK')) throw error;
    await copyFile(source, target);
    await syncFile(await open(target, 'r'));
    return false;
  }
}
