import { aborted, Fault, invalidArgument } from '#kernel/fault.ts';
import type { ObjectBody, ObjectInfo, PutOptions, WriteCondition } from '#s3/backend.ts';
import type { ObjectRow, StoreChange, StoredObject } from '../store/store.ts';
import type { BucketDisk } from './bucket-disk.ts';
import { customerKeyOf, newEnvelope } from './content-coding.ts';
import type { FolderMarkers } from './folder-markers.ts';
import type { KeptVersions } from './kept-versions.ts';
import { plainPath } from './key-path.ts';
import { attemptsMax, dropHard, type KeyPlace, movesIn, placeFor } from './key-place.ts';
import type { FoundObject, ObjectFinder } from './object-finder.ts';
import { describeNew } from './object-info.ts';
import { stampOf } from './stamp.ts';
import { attributesOf } from './stored.ts';
import { type TemporaryFile, writeTemporaryFile } from './temporary-file.ts';

/** What is to be kept with a written file, and when it may be. */
export interface CommitOptions extends Omit<StoredObject, 'versionId'> {
  readonly condition?: WriteCondition | undefined;
  /** Not where a tree of files would not have it, see `PutOptions`. */
  readonly isForTree?: boolean | undefined;
}

/** Writes the objects of one bucket. The verbs are those of `Backend`. */
export class ObjectWriter {
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

  async put(key: string, body: ObjectBody, options: PutOptions): Promise<ObjectInfo> {
    const isFolder = plainPath(key)?.isFolder ?? false;
    return await this.#disk.writing(async () => {
      using temporary = await this.#disk.privateDirectory('tmp');
      const envelope = await newEnvelope(this.#disk, options.encryption);
      const encoder = envelope && this.#disk.coding?.encoder(envelope, 0, customerKeyOf(options.encryption));
      await using file = await writeTemporaryFile(temporary, this.#disk.newId(), body, { encoder, volume: this.#disk.volume });
      const { md5Hex, checksums } = file.digest;
      const etag = encoder?.etagOf(md5Hex) ?? md5Hex;
      const commit = { ...attributesOf(options), etag, checksums, condition: options.condition, isForTree: options.isForTree };
      if (!isFolder || file.sizeBytes > 0) return await this.commit(key, file, commit);
      if (this.#disk.settings.versioning === undefined) {
        // Content that was put at the key would be found before its folder.
        const isHard = this.#disk.hasHardKeys && (await this.#finder.find(key))?.kind === 'hard';
        const info = isHard ? undefined : await this.#makeFolder(key, commit);
        return info ?? (await this.commit(key, file, commit));
      }
      // Its versions need contents; a tree of files needs the folder.
      const info = await this.commit(key, file, commit);
      await this.#makeFolder(key, { etag, headers: {}, checksums: {} });
      return info;
    });
  }

  /** `undefined` when a file has the name, or that of a folder on the way: the key is none of a folder then. */
  async #makeFolder(key: string, { condition, isForTree: _, ...stored }: CommitOptions): Promise<ObjectInfo | undefined> {
    try {
      return await this.#markers.make(key, stored, condition);
    } catch (error) {
      if (error instanceof Fault && error.reason === 'key_conflict') return undefined;
      throw error;
    }
  }

  /** Gives a written file its key. The commit point of every write: before it nothing is visible, after it everything is. */
  async commit(key: string, file: TemporaryFile, options: CommitOptions): Promise<ObjectInfo> {
    return await this.#disk.committing([key], async () => {
      for (let attempt = 1; attempt <= attemptsMax; attempt++) {
        const info = await this.#tryCommit(key, file, options);
        if (info) return info;
      }
      throw aborted(`Cannot write ${JSON.stringify(key)}: other programs change what is there again and again`);
    });
  }

  /** `undefined` when something else came to the key's place meanwhile. */
  async #tryCommit(
    key: string,
    file: TemporaryFile,
    { condition, isForTree, ...options }: CommitOptions,
  ): Promise<ObjectInfo | undefined> {
    const { settings } = this.#disk;
    const { versioning } = settings;
    const current = condition || versioning || this.#disk.hasHardKeys ? await this.#finder.find(key) : undefined;
    condition?.(current && this.#finder.infoOf(current));
    using place = await placeFor(this.#disk, key);
    if (isForTree && place.kind === 'hard') throw inTheWay(key);
    // Where there are no inodes, the same size and time would make two files one.
    if (!this.#disk.volume.hasInodes && place.taken && stampOf(place.taken) === file.stamp) await file.age();
    const stored: Omit<StoredObject, 'versionId'> = {
      ...options,
      ...(file.envelope ? { envelope: file.envelope, plainSizeBytes: file.sizeBytes } : {}),
    };
    const row: ObjectRow = {
      ...stored,
      ...(versioning === 'Enabled' ? { versionId: this.#disk.newId() } : {}),
      ...{ key, stamp: file.stamp, kind: place.kind === 'hard' ? 'hard' : 'object' },
    };
    const kept = current && versioning && (row.versionId ?? current.row?.versionId) !== undefined ? current : undefined;
    const rest = await this.#rest(row, place, current);
    const isSimple = !kept && rest.every(({ kind }) => kind === 'prune') && !(current?.kind === 'hard' && place.kind === 'file');
    const begin: StoreChange[] = [{ kind: 'put', row }];
    if (kept) begin.push(this.#kept.putOf(kept));
    if (!isSimple) begin.push({ kind: 'begin', intent: { key, stamp: current?.stamp ?? '', rest } });
    await this.#disk.write(begin);
    if (kept && !(await this.#kept.keep(kept))) return undefined;
    if (!(await movesIn(place, (path) => file.moveTo(path)))) return undefined;
    const { sizeBytes, fileSizeBytes, mtimeMs } = file;
    const versionId = versioning && (row.versionId ?? 'null');
    const dropsNull = rest.some(({ kind }) => kind === 'remove_version');
    const dropsHard = place.kind === 'file' && current?.kind === 'hard';
    const end: StoreChange = { kind: 'end', key };
    await Promise.all([
      this.#disk.write(isSimple || dropsNull || dropsHard ? rest : [...rest, end]),
      this.#disk.record({
        ...{ key, kind: 'put', sizeBytes: fileSizeBytes, mtimeMs, etag: options.etag },
        ...(fileSizeBytes === sizeBytes ? {} : { plainSizeBytes: sizeBytes }),
        ...(versionId ? { versionId } : {}),
        ...(place.kind === 'hard' ? { isHard: true } : {}),
      }),
    ]);
    if (dropsNull) await this.#kept.drop(key, 'null');
    if (dropsHard) await dropHard(this.#disk, key);
    if (dropsNull || dropsHard) await this.#disk.write([end]);
    return describeNew(row, file, versionId);
  }

  /** What remains to be done with the rows once the file is at its place. */
  async #rest(row: ObjectRow, place: KeyPlace, current: FoundObject | undefined): Promise<readonly StoreChange[]> {
    const { bucket, settings, store } = this.#disk;
    const { key, stamp } = row;
    const changes: StoreChange[] = place.taken || current ? [{ kind: 'prune', key, stamp }] : [];
    const replacesNull = settings.versioning && row.versionId === undefined;
    if (replacesNull && (await store.findVersion(bucket, key, 'null'))) {
      changes.push({ kind: 'remove_version', key, versionId: 'null' });
    }
    return changes;
  }
}

const inTheWay = (key: string): Fault =>
  invalidArgument(`Cannot write ${JSON.stringify(key)}: a file, a folder or a link is in its way`, {
    reason: 'key_conflict',
    hint: 'Choose another name, or remove what is there.',
  });
