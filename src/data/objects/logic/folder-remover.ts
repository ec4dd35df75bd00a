import { failedPrecondition } from '#kernel/fault.ts';
import { isSystemError } from '#lib/system-error.ts';
import type { BucketDisk } from './bucket-disk.ts';
import { listFolder } from './folder-list.ts';
import { isRemoved, lookAt, noSuchKey, readEntries, remove, rename, rmdir } from './fs.ts';
import { parseKey } from './key-path.ts';
import type { ObjectDeleter } from './object-deleter.ts';
import { removeTree } from './remove-tree.ts';

const pageSize = 500;
/** Others may write into a folder while it is removed. */
const attemptsMax = 5;

/** Removes folders of one bucket with all that is in them. */
export class FolderRemover {
  readonly #disk: BucketDisk;
  readonly #deleter: ObjectDeleter;

  constructor(disk: BucketDisk, deleter: ObjectDeleter) {
    this.#disk = disk;
    this.#deleter = deleter;
  }

  /**
   * Removes a folder; with `recursive` also all that is in it, which vanishes at once and is erased before this resolves. In a versioned
   * bucket every file in it gets a delete marker instead, one after another. Hard keys stay: they are in no tree.
   * Errors: `no_such_key`; `failed_precondition` with reason `folder_not_empty`.
   */
  async remove(path: string, options: { readonly recursive?: boolean } = {}): Promise<void> {
    const { place, settings } = this.#disk;
    const key = path.endsWith('/') ? path : `${path}/`;
    const { folders, name } = parseKey(key);
    const isKept = settings.versioning !== undefined && options.recursive === true;
    for (let attempt = 1; isKept && attempt <= attemptsMax; attempt++) await this.#deleteAll(key);
    await this.#disk.committing([key], async () => {
      if (!this.#disk.spelling.isExact([...folders, name])) throw noSuchKey(key);
      using parent = place.find(folders);
      if (!parent || !lookAt(parent.at(name))?.isDirectory()) {
        // The last object took the folder along.
        if (isKept) return;
        throw noSuchKey(key);
      }
      using temporary = await this.#disk.privateDirectory('tmp');
      const awayName = this.#disk.newId();
      try {
        if (isKept) await removeEmpty(parent.at(name));
        else if (options.recursive) await rename(parent.at(name), temporary.at(awayName));
        else await rmdir(parent.at(name));
      } catch (error) {
        if (!isSystemError(error, 'ENOTEMPTY', 'EEXIST')) throw error;
        throw failedPrecondition(`Cannot remove folder ${JSON.stringify(path)}: it is not empty`, {
          reason: 'folder_not_empty',
          cause: error,
        });
      }
      await parent.sync();
      await this.#disk.write([{ kind: 'remove_tree', prefix: key }]);
      await this.#disk.recordDeleted([key]);
      await this.#disk.recordDeleted(await place.prune(folders));
      if (options.recursive) await removeTree(temporary, awayName, () => this.#disk.newId());
    });
  }

  async #deleteAll(prefix: string): Promise<void> {
    for (let after: string | undefined = ''; after !== undefined; ) {
      const page = await listFolder(this.#disk, { prefix, delimiter: '', after, limit: pageSize, isPlainOnly: true });
      for (const { key } of page.objects) if (!key.endsWith('/')) await this.#deleter.delete(key, undefined);
      after = page.next;
    }
  }
}

/** Folders in it that are empty, and what is no file and no folder, go along. */
async function removeEmpty(path: string): Promise<void> {
  for (const { name, isFile, isFolder } of await readEntries(path)) {
    if (isFolder) await removeEmpty(`${path}/${name}`);
    else if (!isFile) await remove(`${path}/${name}`);
  }
  await isRemoved(rmdir(path));
}
