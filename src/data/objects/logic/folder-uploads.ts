import { constants } from 'node:fs';
import { Code, Fault } from '#kernel/fault.ts';
import { createKeyedLock } from '#lib/keyed-lock.ts';
import { isSystemError } from '#lib/system-error.ts';
import { compareUtf8 } from '#lib/utf8-order.ts';
import type {
  CompletedPart,
  CompleteOptions,
  CustomerKey,
  ObjectBody,
  ObjectInfo,
  PartInfo,
  UploadInfo,
  UploadOptions,
} from '#s3/backend.ts';
import { type Envelope, encryptionOf } from '../encryption/envelope.ts';
import { assembleParts, parseWholeFileName, wholeFileName } from './assemble-parts.ts';
import type { BucketDisk } from './bucket-disk.ts';
import { assertExpected, assertUploadChecksum, chooseParts, completeChecksums, completeEtag } from './complete-parts.ts';
import { type ContentEncoder, newEnvelope } from './content-coding.ts';
import { type Directory, openDirectory } from './directory.ts';
import { close, fdatasync, lstat, open, readdir, remove, statsOf, unlink } from './fs.ts';
import { privateFolder } from './key-path.ts';
import type { ObjectWriter } from './object-writer.ts';
import { parsePartFileName, partFileName, readParts, type StoredPart } from './part-files.ts';
import { PartPlaces } from './part-places.ts';
import { mtimeMsOf } from './stamp.ts';
import { attributesOf } from './stored.ts';
import { counted, temporaryFile, writeAll, writeTemporaryFile } from './temporary-file.ts';
import { type CompletedUpload, completedName, readJson, recordName, type UploadRecord, writeJson } from './upload-record.ts';

export interface FolderUploadsOptions {
  readonly disk: BucketDisk;
  readonly writer: ObjectWriter;
  readonly now: () => number;
  /** The smallest part but the last; 5 MiB when absent. */
  readonly partSizeBytesMin?: number | undefined;
}

export interface ExpireOptions {
  /** Uploads that nobody has sent anything to for so long go. Unit: milliseconds. */
  readonly staleMs: number;
  /** Completed ones are remembered for so long. Unit: milliseconds. */
  readonly completedMs: number;
  readonly signal: AbortSignal;
}

/**
 * The multipart uploads of one bucket.
 *
 * Each is a folder `.cellar/uploads/<id>`, so that it survives a restart and needs no tables: what it was begun with (`upload.json`), a file
 * for each part, most of them empty since the bytes lie in one file of the whole (see `PartPlaces`), and when it is completed what was answered
 * (`completed.json`), to be answered again.
 *
 * Crash points of `complete`, in order: the whole is written (done again the next time) - `completed.json` is written, naming the file of the whole
 * (still there: done again) - the writer's commit moves that file to its key (gone: completed, answered from `completed.json`) - `upload.json` is
 * removed (no upload any more) - the rest is removed (again at the next start).
 */
export class FolderUploads {
  readonly #disk: BucketDisk;
  readonly #writer: ObjectWriter;
  readonly #now: () => number;
  readonly #partSizeBytesMin: number;
  readonly #locks = createKeyedLock();
  readonly #places = new Map<string, Promise<PartPlaces>>();

  constructor({ disk, writer, now, partSizeBytesMin = 5 * 1024 * 1024 }: FolderUploadsOptions) {
    this.#disk = disk;
    this.#writer = writer;
    this.#now = now;
    this.#partSizeBytesMin = partSizeBytesMin;
  }

  async create(key: string, { checksum, initiator, encryption, ...object }: UploadOptions): Promise<string> {
    assertUploadChecksum(checksum);
    const envelope = await newEnvelope(this.#disk, encryption);
    const kept = attributesOf(object);
    const record: UploadRecord = { key, initiatedMs: this.#now(), object: kept, checksum, initiator, envelope };
    return await this.#disk.writing(async () => {
      const uploadId = this.#disk.newId();
      using directory = await this.#disk.privateDirectory('uploads', uploadId);
      await writeJson(directory, recordName, this.#disk.newId, record);
      return uploadId;
    });
  }

  async head(key: string, uploadId: string): Promise<UploadInfo> {
    using directory = this.#open(uploadId);
    return infoOf(uploadId, await this.#record(directory, uploadId, key));
  }

  async put(key: string, uploadId: string, partNumber: number, body: ObjectBody, customerKey?: CustomerKey): Promise<PartInfo> {
    return await this.#disk.writing(async () => {
      using directory = this.#open(uploadId);
      const { envelope } = await this.#record(directory, uploadId, key);
      const encoder = envelope && this.#disk.coding?.encoder(envelope, partNumber, customerKey);
      if (envelope && !encoder) throw noKeys();
      try {
        return await this.#putPart(directory, uploadId, partNumber, body, encoder);
      } catch (error) {
        throw isSystemError(error, 'ENOENT') ? noSuchUpload(uploadId) : error;
      }
    });
  }

  async #putPart(
    directory: Directory,
    uploadId: string,
    partNumber: number,
    body: ObjectBody,
    encoder: ContentEncoder | undefined,
  ): Promise<PartInfo> {
    const places = await this.#placesOf(directory, uploadId);
    const place = body.sizeBytes ? places.claim(partNumber, this.#sizeOnDisk(encoder, body.sizeBytes)) : undefined;
    try {
      const placed = place && (await writePlaced(directory.at(wholeFileName(place.strideBytes)), place.position, body, encoder));
      await using file = await writeTemporaryFile(directory, `tmp-${this.#disk.newId()}`, placed ?? body, {
        encoder: placed ? undefined : encoder,
      });
      const { md5Hex, checksums } = file.digest;
      const etag = encoder?.etagOf(md5Hex) ?? md5Hex;
      const sizeBytes = placed?.writtenBytes ?? file.sizeBytes;
      const fileName = partFileName({ partNumber, etag, sizeBytes, checksums, isPlaced: placed !== undefined });
      return await this.#locks.run(uploadId, async () => {
        // Only one that is sent again is looked for: an upload may have ten thousand.
        const names = places.has(partNumber) ? await readdir(directory.at('.')) : [];
        if (names.includes(completedName)) await forgetCompletion(directory);
        // Before it is: should the disk fail now, nobody knows whether it is.
        places.keep(partNumber, placed !== undefined);
        await file.moveTo(directory.at(fileName));
        for (const name of names) {
          if (name !== fileName && parsePartFileName(name)?.partNumber === partNumber) await unlink(directory.at(name));
        }
        await directory.sync();
        return { partNumber, sizeBytes, mtimeMs: file.mtimeMs, etag, checksums };
      });
    } finally {
      if (place) places.release(partNumber);
    }
  }

  async complete(
    key: string,
    uploadId: string,
    wanted: readonly CompletedPart[],
    { condition, expected }: CompleteOptions = {},
  ): Promise<ObjectInfo> {
    return await this.#disk.writing(() =>
      this.#locks.run(uploadId, async () => {
        using directory = this.#open(uploadId);
        const answered = await this.#answer(directory, key, uploadId, wanted);
        if (answered) return answered;
        const record = await this.#record(directory, uploadId, key);
        const parts = chooseParts(wanted, await readParts(directory), this.#partSizeBytesMin);
        const plainSizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
        const checksums = completeChecksums(record.checksum, parts);
        assertExpected(expected, checksums, plainSizeBytes);
        const etag = completeEtag(parts);
        const places = await this.#placesOf(directory, uploadId);
        // While somebody still writes at a place, the file of the whole must not become the object.
        const isClosed = places.close();
        try {
          const sized = parts.map((part) => ({ part, sizeBytes: this.#sizeOnDisk(record, part.sizeBytes) }));
          const { volume } = this.#disk;
          const whole = await assembleParts(directory, sized, places.strideBytes, isClosed ? places : undefined, volume);
          const info: ObjectInfo = {
            ...{ key, etag, checksums, mtimeMs: mtimeMsOf(whole.stats), sizeBytes: plainSizeBytes },
            headers: record.object.headers,
            parts: parts.map(partOf),
          };
          const completed: CompletedUpload = { key, fileName: whole.fileName, completedMs: this.#now(), info };
          await writeJson(directory, completedName, this.#disk.newId, completed);
          const committed = await this.#writer.commit(
            key,
            temporaryFile({
              ...{ path: directory.at(whole.fileName), stats: whole.stats, volume },
              ...{ sizeBytes: plainSizeBytes, envelope: record.envelope, digest: { md5Hex: '', checksums } },
              giveUp: async () => undefined,
            }),
            { ...record.object, etag, checksums, parts: parts.map(partOf), condition },
          );
          await writeJson(directory, completedName, this.#disk.newId, { ...completed, info: committed });
          await this.#end(directory, uploadId);
          return committed;
        } finally {
          places.open();
        }
      }),
    );
  }

  /** What a completion that was committed has answered; ends what it left undone. */
  async #answer(
    directory: Directory,
    key: string,
    uploadId: string,
    wanted?: readonly CompletedPart[],
  ): Promise<ObjectInfo | undefined> {
    const completed = await readJson<CompletedUpload>(directory, completedName);
    if (!completed || (await statsOf(directory.at(completed.fileName)))) return undefined;
    await this.#end(directory, uploadId);
    if (completed.key !== key || (wanted && completeEtag(wanted) !== completed.info.etag)) throw noSuchUpload(uploadId);
    return completed.info;
  }

  async abort(key: string, uploadId: string): Promise<void> {
    await this.#disk.writing(() =>
      this.#locks.run(uploadId, async () => {
        using directory = this.#open(uploadId);
        await this.#record(directory, uploadId, key);
        await this.#remove(uploadId);
      }),
    );
  }

  async parts(key: string, uploadId: string): Promise<readonly PartInfo[]> {
    using directory = this.#open(uploadId);
    await this.#record(directory, uploadId, key);
    return await readParts(directory);
  }

  async list(): Promise<readonly UploadInfo[]> {
    const found: UploadInfo[] = [];
    for (const uploadId of await this.#ids()) {
      try {
        using directory = this.#open(uploadId);
        found.push(infoOf(uploadId, await this.#record(directory, uploadId)));
      } catch (error) {
        if (!(error instanceof Fault && error.reason === 'no_such_upload')) throw error;
      }
    }
    return found.sort(
      (a, b) => compareUtf8(a.key, b.key) || a.initiatedMs - b.initiatedMs || compareUtf8(a.uploadId, b.uploadId),
    );
  }

  /** Ends what killed writers left undone; call it at start, when nobody writes. */
  async sweep(): Promise<void> {
    for (const uploadId of await this.#ids()) {
      await this.#quietly(uploadId, async (directory) => {
        for (const name of await readdir(directory.at('.'))) if (name.startsWith('tmp-')) await unlink(directory.at(name));
        const completed = await readJson<CompletedUpload>(directory, completedName);
        if (completed && !(await statsOf(directory.at(completed.fileName)))) await this.#end(directory, uploadId);
        else if (!(await readJson(directory, recordName))) await this.#remove(uploadId);
      });
    }
  }

  /** Gives up uploads that nobody goes on with, and forgets what was completed long ago. Result: the keys of those given up. */
  async expire({ staleMs, completedMs, signal }: ExpireOptions): Promise<readonly string[]> {
    const givenUp: string[] = [];
    for (const uploadId of await this.#ids()) {
      signal.throwIfAborted();
      await this.#quietly(uploadId, (directory) =>
        this.#locks.run(uploadId, async () => {
          const idleMs = this.#now() - mtimeMsOf(await lstat(directory.at('.')));
          const record = await readJson<UploadRecord>(directory, recordName);
          if (idleMs < (record ? staleMs : completedMs)) return;
          await this.#remove(uploadId);
          if (record) givenUp.push(record.key);
        }),
      );
    }
    return givenUp;
  }

  /** Runs something on an upload that may end at any moment. */
  async #quietly(uploadId: string, task: (directory: Directory) => Promise<void>): Promise<void> {
    try {
      using directory = this.#open(uploadId);
      await task(directory);
    } catch (error) {
      const isGone = isSystemError(error, 'ENOENT') || (error instanceof Fault && error.reason === 'no_such_upload');
      if (!isGone) throw error;
    }
  }

  async #ids(): Promise<readonly string[]> {
    try {
      using uploads = openDirectory(this.#disk.root, [privateFolder, 'uploads']);
      return await readdir(uploads.at('.'));
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return [];
      throw error;
    }
  }

  #open(uploadId: string): Directory {
    if (!/^[0-9a-f]{32}$/.test(uploadId)) throw noSuchUpload(uploadId);
    try {
      return openDirectory(this.#disk.root, [privateFolder, 'uploads', uploadId]);
    } catch (error) {
      throw isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP') ? noSuchUpload(uploadId) : error;
    }
  }

  async #record(directory: Directory, uploadId: string, key?: string): Promise<UploadRecord> {
    const record = await readJson<UploadRecord>(directory, recordName);
    if (!record || (key !== undefined && record.key !== key)) throw noSuchUpload(uploadId);
    return record;
  }

  #placesOf(directory: Directory, uploadId: string): Promise<PartPlaces> {
    let places = this.#places.get(uploadId);
    if (!places) {
      places = readPlaces(directory);
      places.catch(() => this.#places.delete(uploadId));
      this.#places.set(uploadId, places);
    }
    return places;
  }

  #sizeOnDisk(sealed: { readonly envelope?: Envelope | undefined } | undefined, plainSizeBytes: number): number {
    if (!sealed?.envelope) return plainSizeBytes;
    if (!this.#disk.coding) throw noKeys();
    return this.#disk.coding.encodedSizeBytes(sealed.envelope, plainSizeBytes);
  }

  /** After the commit: the record goes first, without it there is no upload; what was answered stays. */
  async #end(directory: Directory, uploadId: string): Promise<void> {
    this.#places.delete(uploadId);
    const names = (await readdir(directory.at('.'))).filter((name) => name !== completedName);
    const others = names.filter((name) => name !== recordName);
    if (names.length > others.length) await unlink(directory.at(recordName));
    for (const name of others) await unlink(directory.at(name));
    if (names.length > 0) await directory.sync();
  }

  async #remove(uploadId: string): Promise<void> {
    this.#places.delete(uploadId);
    using uploads = await this.#disk.privateDirectory('uploads');
    await remove(`${uploads.at(uploadId)}/${recordName}`, { force: true });
    await remove(uploads.at(uploadId), { recursive: true, force: true });
    await uploads.sync();
  }
}

/**
 * Before a part is replaced: a completion that came to nothing may name the file of that very part, and would count as done once it is gone.
 */
async function forgetCompletion(directory: Directory): Promise<void> {
  const completed = await readJson<CompletedUpload>(directory, completedName);
  if (!completed || !(await statsOf(directory.at(completed.fileName)))) return;
  await unlink(directory.at(completedName));
  await directory.sync();
}

async function readPlaces(directory: Directory): Promise<PartPlaces> {
  const strides = (await readdir(directory.at('.'))).map(parseWholeFileName).filter((stride) => stride !== undefined);
  return new PartPlaces(strides[0], await readParts(directory));
}

/** Writes a part to its place in the file of the whole. Result: an empty body that says of the part what is known now. */
async function writePlaced(
  path: string,
  position: number,
  body: ObjectBody,
  encoder: ContentEncoder | undefined,
): Promise<ObjectBody & { readonly writtenBytes: number }> {
  let writtenBytes = 0;
  const plain = counted(body.bytes, (count) => {
    writtenBytes += count;
    // More would be written over the next part.
    if (writtenBytes > (body.sizeBytes ?? 0)) throw wrongSize(body);
  });
  const fd = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW, 0o666);
  try {
    await writeAll(fd, encoder ? encoder.encode(plain) : plain, position);
    if (writtenBytes !== body.sizeBytes) throw wrongSize(body);
    const digest = await body.verify();
    await fdatasync(fd);
    return { bytes: nothing(), sizeBytes: 0, verify: async () => digest, writtenBytes };
  } finally {
    close(fd);
  }
}

const wrongSize = ({ sizeBytes }: ObjectBody): Error => new Error(`A body has not the ${sizeBytes} bytes it said it has`);

const noKeys = (): Fault =>
  new Fault(Code.FailedPrecondition, 'The upload is encrypted, and no keys are configured', { reason: 'key_lost' });

async function* nothing(): AsyncGenerator<Uint8Array> {
  // What there was has been read.
}

const partOf = ({ partNumber, sizeBytes, checksums }: StoredPart) => ({
  ...{ partNumber, sizeBytes },
  ...(Object.keys(checksums).length > 0 ? { checksums } : {}),
});

function infoOf(uploadId: string, { key, initiatedMs, checksum, initiator, envelope, object }: UploadRecord): UploadInfo {
  const { owner, storageClass } = object;
  return {
    ...{ key, uploadId, initiatedMs, checksum },
    ...(owner ? { owner } : {}),
    ...(initiator ? { initiator } : {}),
    ...(storageClass ? { storageClass } : {}),
    ...(envelope ? { encryption: encryptionOf(envelope) } : {}),
  };
}

const noSuchUpload = (uploadId: string): Fault =>
  new Fault(
    Code.NotFound,
    `The specified upload does not exist: ${JSON.stringify(uploadId)}. It may have been aborted or completed.`,
    { reason: 'no_such_upload' },
  );
