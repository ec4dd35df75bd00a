import type { BigIntStats } from 'node:fs';
import { alreadyExists, invalidArgument } from '#kernel/fault.ts';
import type { ObjectInfo } from '#s3/backend.ts';
import type { ObjectRow, StoreChange } from '../store/store.ts';
import type { BucketDisk } from './bucket-disk.ts';
import type { FolderMarkers } from './folder-markers.ts';
import { lookAt, noSuchKey, rename } from './fs.ts';
import type { KeptVersions } from './kept-versions.ts';
import { type KeyPath, parseKey } from './key-path.ts';
import type { ObjectFinder } from './object-finder.ts';
import { describe } from './object-info.ts';
import { isLocked, locked } from './object-lock.ts';
import { stampOf } from './stamp.ts';

/** What is at a path: a file, or a folder. */
export interface Entry {
  readonly kind: 'file' | 'folder';
  readonly info: ObjectInfo;
}

export interface FolderTreeParts {
  readonly disk: BucketDisk;
  readonly finder: ObjectFinder;
  readonly kept: KeptVersions;
  readonly markers: FolderMarkers;
}

const pageSize = 500;

/** The verbs of one bucket that a tree of files and folders needs and S3 does not have. Paths are keys; `/` at the end of a folder's is optional. */
export class FolderTree {
  readonly #disk: BucketDisk;
  readonly #finder: ObjectFinder;
  readonly #kept: KeptVersions;
  readonly #markers: FolderMarkers;

  constructor({ disk, finder, kept, markers }: FolderTreeParts) {
    this.#disk = disk;
    this.#finder = finder;
    this.#kept = kept;
    this.#markers = markers;
  }

  /** Makes a folder that stays when it is empty. Nothing happens when it is there. */
  async mkdir(path: string): Promise<ObjectInfo> {
    return await this.#markers.make(folderKey(path), {}, undefined);
  }

  /** What is at a path, with or without `/` at its end; the empty path is the bucket's folder. Errors: `no_such_key`. */
  async stat(path: string): Promise<Entry> {
    const { bucket, place, settings, store } = this.#disk;
    const { folders, name } = path === '' ? { folders: [], name: '.' } : parseKey(path);
    using parent = place.find(folders);
    const isExact = path === '' || this.#disk.spelling.isExact([...folders, name]);
    const stats = parent && isExact ? this.#disk.lookAt(parent.at(name)) : undefined;
    const kind = stats?.isDirectory() ? 'folder' : 'file';
    if (!stats || (kind === 'file' && (!stats.isFile() || path.endsWith('/')))) throw noSuchKey(path);
    const key = kind === 'file' || path === '' ? path : folderKey(path);
    const row = await store.find(bucket, key, stampOf(stats));
    return { kind, info: describe(key, stats, row, kind === 'file' && settings.versioning !== undefined) };
  }

  /**
   * Gives a file or folder another path in this bucket; missing folders on the way are made. What is kept of objects goes with them; in a
   * versioned bucket their older versions stay where they were, below a delete marker.
   *
   * With `replace` a file may take the place of a file. Durable when it resolves.
   * Errors: `no_such_key`; `already_exists` with reason `key_exists`; `invalid_argument` for a folder into itself; `permission_denied` with
   * reason `object_locked` where a version must stay.
   */
  async move(from: string, to: string, options: { readonly replace?: boolean } = {}): Promise<void> {
    const { kind } = await this.stat(from);
    const [fromKey, toKey] = kind === 'folder' ? [folderKey(from), folderKey(to)] : [from, to];
    if (fromKey === toKey) return;
    if (kind === 'file' && parseKey(to).isFolder)
      throw invalidArgument(`Cannot move file ${JSON.stringify(from)} to a folder's path`, { reason: 'invalid_key' });
    if (kind === 'folder' && toKey.startsWith(fromKey)) {
      throw invalidArgument(`Cannot move folder ${JSON.stringify(from)} into itself`, { reason: 'key_conflict' });
    }
    await this.#disk.committing([fromKey, toKey], () =>
      kind === 'folder' ? this.#moveFolder(fromKey, toKey) : this.#moveFile(fromKey, toKey, options.replace ?? false),
    );
  }

  async #moveFile(from: string, to: string, isReplacing: boolean): Promise<void> {
    const { now, place, settings } = this.#disk;
    const [source, target] = [parseKey(from), parseKey(to)];
    const found = await this.#finder.find(from);
    if (found?.kind !== 'file') throw noSuchKey(from);
    if (found.row && isLocked(found.row, now())) throw locked(from, 'it is retained or has a legal hold');
    using fromParent = place.find(source.folders);
    using toParent = await place.ensure(target.folders);
    if (!fromParent) throw noSuchKey(from);
    const there = await this.#takenBy(toParent.at(target.name), source, target);
    if (there && !(isReplacing && there.isFile())) throw taken(to);
    const replaced = await this.#finder.find(to);
    const row: ObjectRow | undefined = found.row && { ...found.row, key: to };
    const isVersioned = settings.versioning !== undefined;
    const kept = isVersioned && replaced ? replaced : undefined;
    const rest: StoreChange[] = [
      { kind: 'prune', key: to, stamp: found.stamp },
      { kind: 'remove', key: from },
      ...(isVersioned ? [{ kind: 'mark', key: from, versionId: this.#disk.newId(), mtimeMs: now() } as const] : []),
    ];
    await this.#disk.write([
      ...(row ? [{ kind: 'put', row } as const] : []),
      ...(kept ? [this.#kept.putOf(kept)] : []),
      { kind: 'begin', intent: { key: to, stamp: this.#finder.stampAt(to), rest } },
    ]);
    if (kept && !(await this.#kept.keep(kept))) throw taken(to);
    await rename(fromParent.at(source.name), toParent.at(target.name));
    await Promise.all([toParent.sync(), fromParent.sync()]);
    await this.#disk.write([...rest, { kind: 'end', key: to }]);
    await this.#recordMove(from, to, source);
  }

  async #moveFolder(from: string, to: string): Promise<void> {
    const { now, place, settings } = this.#disk;
    const [source, target] = [parseKey(from), parseKey(to)];
    if (settings.objectLock) await this.#assertNoneLocked(from);
    using fromParent = place.find(source.folders);
    if (!fromParent || !lookAt(fromParent.at(source.name))?.isDirectory()) throw noSuchKey(from);
    using toParent = await place.ensure(target.folders);
    if (await this.#takenBy(toParent.at(target.name), source, target)) throw taken(to);
    const mark = { kind: 'mark_tree', prefix: from, versionId: this.#disk.newId(), mtimeMs: now() } as const;
    const rest: StoreChange[] = [{ kind: 'remove_tree', prefix: from }, ...(settings.versioning === undefined ? [] : [mark])];
    await this.#disk.write([
      { kind: 'copy_tree', from, to },
      { kind: 'begin', intent: { key: to, stamp: '', rest } },
    ]);
    await rename(fromParent.at(source.name), toParent.at(target.name));
    await Promise.all([toParent.sync(), fromParent.sync()]);
    await this.#disk.write([...rest, { kind: 'end', key: to }]);
    await this.#recordMove(from, to, source);
  }

  /** What is at the target of a move. What moves to another spelling of its own name is not in its own way. Errors: `key_exists`. */
  async #takenBy(path: string, source: KeyPath, { folders, name }: KeyPath): Promise<BigIntStats | undefined> {
    const { spelling } = this.#disk;
    if (!(await spelling.takes(name))) throw noSuchName(name);
    const there = lookAt(path);
    if (!there || spelling.isExact([...folders, name])) return there;
    // Inodes cannot tell: some drivers make up one for each spelling.
    if (isSpellingOf(source.name, name) && source.folders.join('/') === folders.join('/')) return undefined;
    throw taken([...folders, name].join('/'));
  }

  async #recordMove(fromKey: string, key: string, source: KeyPath): Promise<void> {
    const { sizeBytes, mtimeMs, etag } = (await this.stat(key)).info;
    await this.#disk.record({ key, kind: 'move', fromKey, sizeBytes, mtimeMs, etag });
    await this.#disk.recordDeleted(await this.#disk.place.prune(source.folders));
  }

  /** Rows of a folder that moves away; a version that must stay stays. */
  async #assertNoneLocked(prefix: string): Promise<void> {
    const { bucket, now, store } = this.#disk;
    for (let last = { key: prefix, stamp: '' }; ; ) {
      const rows = await store.after(bucket, last.key, last.stamp, pageSize);
      for (const row of rows) {
        if (!row.key.startsWith(prefix)) return;
        if (isLocked(row, now())) throw locked(row.key, 'it is retained or has a legal hold');
      }
      const end = rows.at(-1);
      if (!end || rows.length < pageSize) return;
      last = end;
    }
  }
}

const taken = (key: string): Error =>
  alreadyExists(`Cannot move to ${JSON.stringify(key)}: something is there`, { reason: 'key_exists' });

const isSpellingOf = (a: string, b: string): boolean => a.normalize('NFC').toLowerCase() === b.normalize('NFC').toLowerCase();

const noSuchName = (name: string): Error =>
  invalidArgument(`Cannot move to ${JSON.stringify(name)}: the disk has no such name`, {
    reason: 'key_conflict',
    hint: 'Choose a name without special characters.',
  });

const folderKey = (path: string): string => (path.endsWith('/') ? path : `${path}/`);
