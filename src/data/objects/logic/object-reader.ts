import { aborted, Code, Fault, notFound } from '#kernel/fault.ts';
import { type ByteRange, rangeSizeBytes } from '#lib/byte-range.ts';
import type { CustomerKey, ObjectContent, ObjectInfo, ReadOptions } from '#s3/backend.ts';
import type { Envelope } from '../encryption/envelope.ts';
import type { StoredObject, VersionRow } from '../store/store.ts';
import type { BucketDisk } from './bucket-disk.ts';
import type { ContentDecoder } from './content-coding.ts';
import { createFileBytes, readPart, readPartNow } from './file-bytes.ts';
import { close, noSuchKey } from './fs.ts';
import type { KeptVersions } from './kept-versions.ts';
import { type ObjectFinder, openFile, versionIdOf } from './object-finder.ts';
import { describeVersion } from './object-info.ts';

/** Objects up to this size are read into memory at once, which is faster than a stream. */
const wholeReadSizeBytesMax = 1024 * 1024;
/** Up to this size the trip to another thread costs more than the read itself, which the system's cache mostly answers. */
const immediateReadSizeBytesMax = 64 * 1024;

/** What is read: `fd` is open, or there is no content. */
export interface Readable {
  readonly info: ObjectInfo;
  readonly stored: StoredObject | undefined;
  readonly fd: number | undefined;
}

/** Reads the objects of one bucket. Errors: `no_such_key`, `no_such_version`, `delete_marker`. */
export class ObjectReader {
  readonly #disk: BucketDisk;
  readonly #finder: ObjectFinder;
  readonly #kept: KeptVersions;

  constructor(disk: BucketDisk, finder: ObjectFinder, kept: KeptVersions) {
    this.#disk = disk;
    this.#finder = finder;
    this.#kept = kept;
  }

  async head(key: string, versionId?: string): Promise<ObjectInfo> {
    const { fd, info } = await this.#open(key, versionId);
    if (fd !== undefined) close(fd);
    return info;
  }

  async get(
    key: string,
    versionId: string | undefined,
    select: (info: ObjectInfo) => ByteRange | undefined,
    options: ReadOptions = {},
  ): Promise<ObjectContent> {
    const { fd, info, stored } = await this.#open(key, versionId);
    let isHandedOver = false;
    try {
      const range = select(info);
      const decoder = this.#decoder(stored, options.customerKey);
      if (fd === undefined) return { info, range, body: new Uint8Array(0) };
      const part = range ?? { first: 0, last: info.sizeBytes - 1 };
      if (decoder || rangeSizeBytes(part) > wholeReadSizeBytesMax) {
        isHandedOver = true;
        return { info, range, body: decoder ? decoder.read(fd, part) : createFileBytes(fd, part) };
      }
      const isSmall = rangeSizeBytes(part) <= immediateReadSizeBytesMax;
      const body = isSmall ? readPartNow(fd, part) : await readPart(fd, part);
      if (body.length !== rangeSizeBytes(part)) throw aborted(`Object ${JSON.stringify(key)} was cut short while it was read`);
      return { info, range, body };
    } finally {
      if (fd !== undefined && !isHandedOver) close(fd);
    }
  }

  /** An object with its file as it lies on the disk, open; whoever asked closes it. */
  async openRaw(key: string, versionId: string | undefined): Promise<Readable> {
    return await this.#open(key, versionId);
  }

  /** Throws when what is asked for is a delete marker. */
  async assertNoMarker(key: string, versionId: string | undefined): Promise<void> {
    this.#assertNoMarker(key, await this.#row(key, versionId));
  }

  async #open(key: string, versionId: string | undefined): Promise<Readable> {
    const current = await this.#finder.open(key);
    if (current && (versionId === undefined || versionIdOf(current) === versionId)) {
      return { info: this.#finder.infoOf(current), stored: current.row, fd: current.fd };
    }
    if (current?.fd !== undefined) close(current.fd);
    const found = this.#disk.settings.versioning && (await this.#openVersion(key, versionId, current && versionIdOf(current)));
    if (found) return found;
    if (versionId === undefined) throw noSuchKey(key);
    // A change of the key may be on its way right now.
    const again = await this.#disk.locks.run(key, async () => {
      const now = await this.#finder.open(key);
      if (now && versionIdOf(now) === versionId) {
        return { info: this.#finder.infoOf(now), stored: now.row, fd: now.fd };
      }
      if (now?.fd !== undefined) close(now.fd);
      return this.#disk.settings.versioning && this.#openVersion(key, versionId, now && versionIdOf(now));
    });
    if (again) return again;
    throw notFound(`There is no version ${JSON.stringify(versionId)} of ${JSON.stringify(key)}`, { reason: 'no_such_version' });
  }

  /** A version that is not the current one; without an id only a delete marker, which then is the newest. */
  async #openVersion(key: string, versionId: string | undefined, currentId: string | undefined): Promise<Readable | undefined> {
    const row = await this.#row(key, versionId);
    if (!row || row.versionId === currentId) return undefined;
    this.#assertNoMarker(key, row);
    if (versionId === undefined) return undefined;
    const fd = openFile(this.#kept.pathOf(row));
    return fd === undefined ? undefined : { info: describeVersion(row), stored: row, fd };
  }

  async #row(key: string, versionId: string | undefined): Promise<VersionRow | undefined> {
    const { bucket, store } = this.#disk;
    return versionId === undefined ? (await store.versionsOf(bucket, key))[0] : await store.findVersion(bucket, key, versionId);
  }

  #assertNoMarker(key: string, row: VersionRow | undefined): void {
    if (!row?.isDeleteMarker) return;
    throw new Fault(Code.NotFound, `The specified key does not exist: ${JSON.stringify(key)}; it was deleted`, {
      reason: 'delete_marker',
      details: { versionId: row.versionId, lastModifiedMs: String(row.mtimeMs) },
    });
  }

  #decoder(stored: StoredObject | undefined, customerKey: CustomerKey | undefined): ContentDecoder | undefined {
    if (!stored?.envelope) return undefined;
    const { coding } = this.#disk;
    if (coding) return coding.decoder(stored as StoredObject & { readonly envelope: Envelope }, customerKey);
    throw new Fault(Code.FailedPrecondition, 'The object is encrypted, and no keys are configured', { reason: 'key_lost' });
  }
}
