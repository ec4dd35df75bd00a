import { aborted } from '#kernel/fault.ts';
import type { Deleted, DeleteOptions } from '#s3/backend.ts';
import type { StoreChange, VersionRow } from '../store/store.ts';
import type { BucketDisk } from './bucket-disk.ts';
import type { FolderMarkers } from './folder-markers.ts';
import { removeIfThere, rename } from './fs.ts';
import type { KeptVersions } from './kept-versions.ts';
import { plainPath, versionsPath } from './key-path.ts';
import { attemptsMax, dropHard, movesIn, placeFor } from './key-place.ts';
import { type FoundObject, type ObjectFinder, versionIdOf } from './object-finder.ts';
import { describeVersion } from './object-info.ts';
import { assertUnlocked } from './object-lock.ts';
import { mtimeMsOf, stampOf } from './stamp.ts';

/** Deletes the objects of one bucket and their versions. */
export class ObjectDeleter {
  readonly #disk: BucketDisk;
  readonly #finder: ObjectFinder;
  readonly #kept: KeptVersions;
  readonly #markers: FolderMarkers;

  constructor(disk: BucketDisk, finder: ObjectFinder, kept: KeptVersions, markers: FolderMarkers) {
    this.#disk = disk;
    this.#finder = finder;
    this.#kept = kept;
    this.#markers = markers;
  }

  async delete(key: string, versionId: string | undefined, { condition }: DeleteOptions = {}): Promise<Deleted> {
    return await this.#disk.committing([key], async () => {
      for (let attempt = 1; attempt <= attemptsMax; attempt++) {
        const current = await this.#finder.find(key);
        const isVersioned = this.#disk.settings.versioning !== undefined;
        const deleted =
          versionId === undefined
            ? isVersioned
              ? await this.#mark(key, current, condition)
              : await this.#deletePlain(key, current, condition)
            : await this.#deleteVersion(key, versionId, current, condition);
        if (deleted) return deleted;
      }
      throw aborted(`Cannot delete ${JSON.stringify(key)}: other programs change it again and again`);
    });
  }

  async #deletePlain(key: string, current: FoundObject | undefined, condition: DeleteOptions['condition']): Promise<Deleted> {
    if (current) {
      condition?.(this.#finder.infoOf(current));
      await this.#take(current, async () => {
        await this.#disk.write([{ kind: 'remove', key }]);
      });
    }
    return { isDeleteMarker: false };
  }

  /** Puts a delete marker above all versions. `undefined`: another program changed the file meanwhile. */
  async #mark(
    key: string,
    current: FoundObject | undefined,
    condition: DeleteOptions['condition'],
  ): Promise<Deleted | undefined> {
    const { bucket, settings, store } = this.#disk;
    if (current) condition?.(this.#finder.infoOf(current));
    else if (condition) {
      if ((await store.versionsOf(bucket, key)).length === 0) return { isDeleteMarker: false };
      condition(undefined);
    }
    const versionId = settings.versioning === 'Enabled' ? this.#disk.newId() : 'null';
    const row = {
      key,
      versionId,
      isDeleteMarker: true,
      sizeBytes: 0,
      mtimeMs: this.#disk.now(),
      etag: '',
      headers: {},
      checksums: {},
    };
    const put: StoreChange = { kind: 'put_version', row };
    const end: StoreChange = { kind: 'end', key };
    const dropsNull = versionId === 'null' && (await store.findVersion(bucket, key, 'null')) !== undefined;
    const intent = { kind: 'begin', intent: { key, stamp: current?.stamp ?? '', rest: [{ kind: 'remove', key }, put] } } as const;
    if (!current) {
      await this.#disk.write(dropsNull ? [intent, put] : [put]);
    } else {
      const isKept = settings.versioning === 'Enabled' || current.row?.versionId !== undefined;
      await this.#disk.write([...(isKept ? [this.#kept.putOf(current)] : []), intent]);
      if (isKept && !(await this.#kept.keep(current))) return undefined;
      const { rest } = intent.intent;
      await this.#take(current, () => this.#disk.write(dropsNull ? rest : [...rest, end]), versionId);
    }
    if (dropsNull) {
      await this.#kept.drop(key, 'null');
      await this.#disk.write([end]);
    }
    return { versionId, isDeleteMarker: true };
  }

  async #deleteVersion(
    key: string,
    versionId: string,
    current: FoundObject | undefined,
    condition: DeleteOptions['condition'],
  ): Promise<Deleted | undefined> {
    const { bucket, now, store } = this.#disk;
    const currentId = current && versionIdOf(current);
    const others = (await store.versionsOf(bucket, key)).filter((row) => row.versionId !== currentId);
    if (current && currentId === versionId) {
      condition?.(this.#finder.infoOf(current));
      if (current.row) assertUnlocked(key, current.row, now());
      const next = others[0];
      if (next && !next.isDeleteMarker) {
        if (!(await this.#restore(next, current, []))) return undefined;
      } else {
        await this.#take(current, () => this.#disk.write([{ kind: 'remove', key }]), versionId);
      }
      return { versionId, isDeleteMarker: false };
    }
    const at = others.findIndex((row) => row.versionId === versionId);
    const row = others[at];
    if (!row) return { versionId, isDeleteMarker: false };
    condition?.(row.isDeleteMarker ? undefined : describeVersion(row));
    assertUnlocked(key, row, now());
    const next = others[at + 1];
    const remove: StoreChange = { kind: 'remove_version', key, versionId };
    if (!current && at === 0 && row.isDeleteMarker && next && !next.isDeleteMarker) {
      if (!(await this.#restore(next, undefined, [remove]))) return undefined;
    } else {
      const intent = { key, stamp: current?.stamp ?? '', rest: [] };
      await this.#disk.write(row.isDeleteMarker ? [remove] : [remove, { kind: 'begin', intent }]);
      if (!row.isDeleteMarker) {
        await this.#kept.drop(key, versionId);
        await this.#disk.write([{ kind: 'end', key }]);
      }
    }
    return { versionId, isDeleteMarker: row.isDeleteMarker };
  }

  /** Makes a kept version the current one again. False when its place was taken meanwhile. */
  async #restore(next: VersionRow, current: FoundObject | undefined, more: readonly StoreChange[]): Promise<boolean> {
    const { key, versionId } = next;
    const path = this.#kept.pathOf(next);
    const stats = this.#disk.lookAt(path);
    if (!stats)
      throw aborted(`Cannot delete this version of ${JSON.stringify(key)}: the content of the one before it is missing`);
    using place = await placeFor(this.#disk, key);
    const { order, isDeleteMarker, sizeBytes, mtimeMs, versionId: _, ...stored } = next;
    const stamp = stampOf(stats);
    const row = {
      ...stored,
      ...(versionId === 'null' ? {} : { versionId }),
      ...{ stamp, kind: place.kind === 'hard' ? ('hard' as const) : ('object' as const) },
    };
    const rest: StoreChange[] = [...more, { kind: 'remove_version', key, versionId }, { kind: 'prune', key, stamp }];
    await this.#disk.write([
      { kind: 'put', row },
      { kind: 'begin', intent: { key, stamp: current?.stamp ?? '', rest } },
    ]);
    if (!(await movesIn(place, (target) => rename(path, target)))) return false;
    if (place.kind === 'file' && current?.kind === 'hard') await dropHard(this.#disk, key);
    using kept = this.#disk.place.find(versionsPath(key));
    await kept?.sync();
    await Promise.all([
      this.#disk.write([...rest, { kind: 'end', key }]),
      this.#disk.record({
        ...{ key, kind: 'put', sizeBytes, mtimeMs: mtimeMsOf(stats), etag: row.etag, versionId },
        ...(place.kind === 'hard' ? { isHard: true } : {}),
      }),
    ]);
    return true;
  }

  /** Removes the current object from the disk and then the rows of it, and tells. */
  async #take(current: FoundObject, removeRows: () => Promise<void>, versionId?: string): Promise<void> {
    const { key, kind, path } = current;
    const { place } = this.#disk;
    const atPath = plainPath(key);
    // What the volume takes for the same is another's.
    const plain = atPath && this.#disk.spelling.isExact([...atPath.folders, atPath.name]) ? atPath : undefined;
    const more = { ...(versionId ? { versionId } : {}), ...(kind === 'hard' ? { isHard: true as const } : {}) };
    if (kind === 'hard') await dropHard(this.#disk, key);
    using parent = plain && place.find(plain.folders);
    if (plain?.isFolder) {
      const isGone = parent ? await this.#removeFolder(key, parent.at(plain.name), current) : false;
      if (isGone) await parent?.sync();
      await Promise.all([removeRows(), this.#disk.recordDeleted(isGone || kind === 'hard' ? [key] : [], isGone ? {} : more)]);
      if (isGone) await this.#disk.recordDeleted(await place.prune(plain.folders));
      return;
    }
    if (kind === 'file' && parent) {
      if (this.#disk.hasHardKeys) await dropHard(this.#disk, key);
      await removeIfThere(parent.at(path.name));
      await parent.sync();
    }
    await Promise.all([removeRows(), this.#disk.recordDeleted([key], more)]);
    if (kind === 'file') await this.#disk.recordDeleted(await place.prune(path.folders));
  }

  /** The folder of a key that ends with `/`, also of one whose content lies elsewhere. True when it is gone. */
  async #removeFolder(key: string, path: string, current: FoundObject): Promise<boolean> {
    if (current.kind === 'folder') return await this.#markers.delete(key, path, current);
    const stats = this.#disk.lookAt(path);
    if (!stats?.isDirectory()) return false;
    const stamp = stampOf(stats);
    const row = await this.#disk.store.find(this.#disk.bucket, key, stamp);
    // Somebody else's folder stays.
    return row ? await this.#markers.delete(key, path, { stamp, row }) : false;
  }
}
