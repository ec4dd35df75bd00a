import { Code, Fault } from '#kernel/fault.ts';
import { createKeyedLock } from '#lib/keyed-lock.ts';
import { isSystemError } from '#lib/system-error.ts';
import { compareUtf8 } from '#lib/utf8-order.ts';
import type {
  CompletedPart,
  ObjectBody,
  ObjectHeaders,
  ObjectInfo,
  PartInfo,
  UploadChecksum,
  UploadInfo,
  WriteCondition,
} from '#s3/backend.ts';
import type { BucketDisk } from './bucket-disk.ts';
import { chooseParts, completeEtag, compositeChecksum } from './complete-parts.ts';
import { type Directory, openDirectory } from './directory.ts';
import { readdir, readFile, remove, unlink } from './fs.ts';
import { plainPath, privateFolder } from './key-path.ts';
import type { ObjectWriter } from './object-writer.ts';
import { joinedBody, partFileName, readParts } from './part-files.ts';
import { writeTemporaryFile } from './temporary-file.ts';

/** What an upload was started with; kept beside its parts as JSON. */
interface UploadRecord {
  readonly key: string;
  readonly headers: ObjectHeaders;
  readonly initiatedMs: number;
  readonly checksum?: UploadChecksum;
}

export interface FolderUploadsOptions {
  readonly disk: BucketDisk;
  readonly writer: ObjectWriter;
  readonly now: () => number;
  /** The smallest part but the last; 5 MiB when absent. */
  readonly partSizeBytesMin?: number | undefined;
}

const recordName = 'upload.json';

/**
 * The running multipart uploads of one bucket.
 *
 * Each is a folder `.cellar/uploads/<id>` with one file per part, named `<number>.<md5>.<algorithm>.<checksum>`, so that
 * it survives a restart and needs no tables.
 */
export class FolderUploads {
  readonly #disk: BucketDisk;
  readonly #writer: ObjectWriter;
  readonly #now: () => number;
  readonly #partSizeBytesMin: number;
  readonly #locks = createKeyedLock();

  constructor({ disk, writer, now, partSizeBytesMin = 5 * 1024 * 1024 }: FolderUploadsOptions) {
    this.#disk = disk;
    this.#writer = writer;
    this.#now = now;
    this.#partSizeBytesMin = partSizeBytesMin;
  }

  async create(key: string, headers: ObjectHeaders, checksum: UploadChecksum | undefined): Promise<string> {
    plainPath(key);
    return await this.#disk.writing(async () => {
      const uploadId = this.#disk.newId();
      const record: UploadRecord = { key, headers, initiatedMs: this.#now(), ...(checksum ? { checksum } : {}) };
      using directory = await this.#disk.privateDirectory('uploads', uploadId);
      await using file = await writeTemporaryFile(directory, `tmp-${this.#disk.newId()}`, textBody(JSON.stringify(record)));
      await file.moveTo(directory.at(recordName));
      await directory.sync();
      return uploadId;
    });
  }

  async head(key: string, uploadId: string): Promise<UploadInfo> {
    using directory = await this.#open(uploadId);
    return infoOf(uploadId, await this.#record(directory, key));
  }

  async put(key: string, uploadId: string, partNumber: number, body: ObjectBody): Promise<PartInfo> {
    return await this.#disk.writing(async () => {
      using directory = await this.#open(uploadId);
      await this.#record(directory, key);
      try {
        await using file = await writeTemporaryFile(directory, `tmp-${this.#disk.newId()}`, body);
        const { md5Hex, checksums } = file.digest;
        const fileName = partFileName(partNumber, md5Hex, checksums);
        return await this.#locks.run(`${uploadId}/${partNumber}`, async () => {
          const earlier = (await readParts(directory)).filter((part) => part.partNumber === partNumber);
          await file.moveTo(directory.at(fileName));
          for (const part of earlier) if (part.fileName !== fileName) await unlink(directory.at(part.fileName));
          await directory.sync();
          return { partNumber, sizeBytes: file.sizeBytes, mtimeMs: file.mtimeMs, etag: md5Hex, checksums };
        });
      } catch (error) {
        throw isSystemError(error, 'ENOENT') ? noSuchUpload(uploadId) : error;
      }
    });
  }

  async complete(
    key: string,
    uploadId: string,
    wanted: readonly CompletedPart[],
    condition?: WriteCondition,
  ): Promise<ObjectInfo> {
    return await this.#disk.writing(() =>
      this.#locks.run(uploadId, async () => {
        using directory = await this.#open(uploadId);
        const record = await this.#record(directory, key);
        const parts = chooseParts(wanted, await readParts(directory), this.#partSizeBytesMin);
        const fullAlgorithm = record.checksum?.kind === 'full_object' ? record.checksum.algorithm : undefined;
        using temporary = await this.#disk.privateDirectory('tmp');
        await using file = await writeTemporaryFile(temporary, this.#disk.newId(), joinedBody(directory, parts, fullAlgorithm));
        const checksums =
          record.checksum?.kind === 'composite' ? compositeChecksum(record.checksum.algorithm, parts) : file.digest.checksums;
        const etag = completeEtag(parts);
        const info = await this.#writer.commit(key, file, { etag, checksums, headers: record.headers, condition });
        await this.#remove(uploadId);
        return info;
      }),
    );
  }

  async abort(key: string, uploadId: string): Promise<void> {
    await this.#disk.writing(() =>
      this.#locks.run(uploadId, async () => {
        using directory = await this.#open(uploadId);
        await this.#record(directory, key);
        await this.#remove(uploadId);
      }),
    );
  }

  async parts(key: string, uploadId: string): Promise<readonly PartInfo[]> {
    using directory = await this.#open(uploadId);
    await this.#record(directory, key);
    return await readParts(directory);
  }

  async list(): Promise<readonly UploadInfo[]> {
    const found: UploadInfo[] = [];
    for (const uploadId of await this.#ids()) {
      try {
        using directory = await this.#open(uploadId);
        found.push(infoOf(uploadId, await this.#record(directory)));
      } catch (error) {
        if (!(error instanceof Fault && error.reason === 'no_such_upload')) throw error;
      }
    }
    return found.sort(
      (a, b) => compareUtf8(a.key, b.key) || a.initiatedMs - b.initiatedMs || compareUtf8(a.uploadId, b.uploadId),
    );
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

  async #open(uploadId: string): Promise<Directory> {
    if (!/^[0-9a-f]{32}$/.test(uploadId)) throw noSuchUpload(uploadId);
    try {
      return openDirectory(this.#disk.root, [privateFolder, 'uploads', uploadId]);
    } catch (error) {
      throw isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP') ? noSuchUpload(uploadId) : error;
    }
  }

  async #record(directory: Directory, key?: string): Promise<UploadRecord> {
    let text: string;
    try {
      text = await readFile(directory.at(recordName), 'utf8');
    } catch (error) {
      throw isSystemError(error, 'ENOENT') ? noSuchUpload(directory.at('')) : error;
    }
    const record = JSON.parse(text) as UploadRecord;
    if (key !== undefined && record.key !== key) throw noSuchUpload(key);
    return record;
  }

  /** The record goes first: without it there is no upload, whatever remains of the rest. */
  async #remove(uploadId: string): Promise<void> {
    using uploads = await this.#disk.privateDirectory('uploads');
    await unlink(`${uploads.at(uploadId)}/${recordName}`);
    await remove(uploads.at(uploadId), { recursive: true, force: true });
    await uploads.sync();
  }
}

const infoOf = (uploadId: string, { key, initiatedMs, checksum }: UploadRecord): UploadInfo => ({
  key,
  uploadId,
  initiatedMs,
  checksum,
});

const noSuchUpload = (uploadId: string): Fault =>
  new Fault(
    Code.NotFound,
    `The specified upload does not exist: ${JSON.stringify(uploadId)}. It may have been aborted or completed.`,
    {
      reason: 'no_such_upload',
    },
  );

const textBody = (text: string): ObjectBody => ({
  bytes: (async function* () {
    yield Buffer.from(text);
  })(),
  sizeBytes: Buffer.byteLength(text),
  verify: async () => ({ md5Hex: '', checksums: {} }),
});
