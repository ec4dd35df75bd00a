import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { Code, Fault, invalidArgument } from '#kernel/fault.ts';
import { type ChecksumAlgorithm, createChecksum, isChecksumAlgorithm } from '#lib/checksum.ts';
import { createKeyedLock } from '#lib/keyed-lock.ts';
import { compareUtf8 } from '#lib/utf8-order.ts';
import type {
  Checksums,
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
import { type Directory, openDirectory } from './directory.ts';
import { createFileBytes } from './file-bytes.ts';
import { fstat, isSystemError, lstat, open, readdir, readFile, remove, unlink, writeFault } from './fs.ts';
import { parseKey, privateFolder } from './key-path.ts';
import type { ObjectWriter } from './object-writer.ts';
import { mtimeMsOf } from './stamp.ts';
import { writeTemporaryFile } from './temporary-file.ts';

/** What an upload was started with; kept beside its parts as JSON. */
interface UploadRecord {
  readonly key: string;
  readonly headers: ObjectHeaders;
  readonly initiatedMs: number;
  readonly checksum?: UploadChecksum;
}

interface StoredPart extends PartInfo {
  readonly fileName: string;
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
    if (parseKey(key).isFolder) {
      throw invalidArgument(`Cannot write ${JSON.stringify(key)}: a key that ends with "/" is a folder and has no content`, {
        reason: 'invalid_key',
      });
    }
    return await this.#writing(async () => {
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
    return await this.#writing(async () => {
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
    return await this.#writing(() =>
      this.#locks.run(uploadId, async () => {
        using directory = await this.#open(uploadId);
        const record = await this.#record(directory, key);
        const parts = choose(wanted, await readParts(directory), this.#partSizeBytesMin);
        const fullAlgorithm = record.checksum?.kind === 'full_object' ? record.checksum.algorithm : undefined;
        using temporary = await this.#disk.privateDirectory('tmp');
        await using file = await writeTemporaryFile(temporary, this.#disk.newId(), joinedBody(directory, parts, fullAlgorithm));
        const checksums =
          record.checksum?.kind === 'composite' ? compositeChecksum(record.checksum.algorithm, parts) : file.digest.checksums;
        const md5 = createHash('md5');
        for (const part of parts) md5.update(part.etag, 'hex');
        const etag = `${md5.digest('hex')}-${parts.length}`;
        const info = await this.#writer.commit(key, file, { etag, checksums, headers: record.headers, condition });
        await this.#remove(uploadId);
        return info;
      }),
    );
  }

  async abort(key: string, uploadId: string): Promise<void> {
    await this.#writing(() =>
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
      using uploads = await openDirectory(this.#disk.root, [privateFolder, 'uploads']);
      return await readdir(uploads.at('.'));
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return [];
      throw error;
    }
  }

  async #open(uploadId: string): Promise<Directory> {
    if (!/^[0-9a-f]{32}$/.test(uploadId)) throw noSuchUpload(uploadId);
    try {
      return await openDirectory(this.#disk.root, [privateFolder, 'uploads', uploadId]);
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

  async #writing<T>(task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      throw writeFault(error, this.#disk.bucket);
    }
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

function partFileName(partNumber: number, md5Hex: string, checksums: Checksums): string {
  const [checksum] = Object.entries(checksums);
  const suffix = checksum ? `.${checksum[0]}.${Buffer.from(checksum[1], 'base64').toString('base64url')}` : '';
  return `${String(partNumber).padStart(5, '0')}.${md5Hex}${suffix}`;
}

async function readParts(directory: Directory): Promise<readonly StoredPart[]> {
  const byNumber = new Map<number, StoredPart>();
  for (const fileName of (await readdir(directory.at('.'))).sort()) {
    const [number = '', etag = '', algorithm = '', checksum = ''] = fileName.split('.');
    if (!/^\d{5}$/.test(number)) continue;
    const stats = await lstat(directory.at(fileName));
    const checksums: Checksums = isChecksumAlgorithm(algorithm)
      ? { [algorithm]: Buffer.from(checksum, 'base64url').toString('base64') }
      : {};
    const part = {
      partNumber: Number(number),
      sizeBytes: Number(stats.size),
      mtimeMs: mtimeMsOf(stats),
      etag,
      checksums,
      fileName,
    };
    const other = byNumber.get(part.partNumber);
    // Two of one number remain when we were killed between writing the new one and removing the old one.
    if (!other || other.mtimeMs <= part.mtimeMs) byNumber.set(part.partNumber, part);
  }
  return [...byNumber.values()].sort((a, b) => a.partNumber - b.partNumber);
}

function choose(
  wanted: readonly CompletedPart[],
  stored: readonly StoredPart[],
  partSizeBytesMin: number,
): readonly StoredPart[] {
  const byNumber = new Map(stored.map((part) => [part.partNumber, part]));
  return wanted.map(({ partNumber, etag, checksums }, index) => {
    const part = byNumber.get(partNumber);
    const isSame = Object.entries(checksums).every(([name, value]) => part?.checksums[name as ChecksumAlgorithm] === value);
    if (!part || part.etag !== etag || !isSame) {
      throw invalidArgument(`Part ${partNumber} was not uploaded, or it is not the one with ETag "${etag}"`, {
        reason: 'invalid_part',
      });
    }
    if (index < wanted.length - 1 && part.sizeBytes < partSizeBytesMin) {
      throw invalidArgument(`Part ${partNumber} has ${part.sizeBytes} bytes; every part but the last needs ${partSizeBytesMin}`, {
        reason: 'entity_too_small',
      });
    }
    return part;
  });
}

/** The parts one after another; the MD5 of the whole is not needed. */
function joinedBody(directory: Directory, parts: readonly StoredPart[], algorithm: ChecksumAlgorithm | undefined): ObjectBody {
  const checksum = algorithm && createChecksum(algorithm);
  async function* bytes(): AsyncGenerator<Uint8Array> {
    for (const part of parts) {
      const fd = await open(directory.at(part.fileName), constants.O_RDONLY | constants.O_NOFOLLOW);
      await using piece = createFileBytes(fd, { first: 0, last: Number(fstat(fd).size) - 1 });
      for await (const chunk of piece) {
        checksum?.update(chunk);
        yield chunk;
      }
    }
  }
  const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
  return {
    bytes: bytes(),
    sizeBytes,
    verify: async () => ({
      md5Hex: '',
      checksums: checksum && algorithm ? { [algorithm]: checksum.digest().toString('base64') } : {},
    }),
  };
}

function compositeChecksum(algorithm: ChecksumAlgorithm, parts: readonly StoredPart[]): Checksums {
  const checksum = createChecksum(algorithm);
  for (const part of parts) {
    const value = part.checksums[algorithm];
    if (value === undefined) {
      throw invalidArgument(`Part ${part.partNumber} was uploaded without its ${algorithm.toUpperCase()} checksum`, {
        reason: 'invalid_part',
      });
    }
    checksum.update(Buffer.from(value, 'base64'));
  }
  return { [algorithm]: `${checksum.digest().toString('base64')}-${parts.length}` };
}

const textBody = (text: string): ObjectBody => ({
  bytes: (async function* () {
    yield Buffer.from(text);
  })(),
  sizeBytes: Buffer.byteLength(text),
  verify: async () => ({ md5Hex: '', checksums: {} }),
});
