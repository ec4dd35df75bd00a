import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { pack } from 'tar-stream';
import { Code, exhausted, Fault, failedPrecondition } from '#kernel/fault.ts';
import { syncFolder } from '#kernel/sync-folder.ts';
import { isSystemError } from '#lib/system-error.ts';
import type { StoredSnapshot, VolumePlace } from '../store/snapshot-store.ts';

/** One volume's content: a tar archive, compressed by zstd. */
export interface VolumeFile extends VolumePlace {
  readonly file: string;
  /** Of the file. */
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface SaveOptions {
  /** Of all files together. */
  readonly sizeBytesMax: number;
  /** Called now and then with what was read so far of the volume. */
  readonly onBytes: (volume: VolumePlace, sizeBytes: number) => Promise<void>;
  readonly signal: AbortSignal;
}

interface Manifest {
  readonly format: 1;
  readonly snapshot: string;
  readonly cluster: string;
  readonly incarnation: number;
  readonly blueprint: string;
  readonly digest: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly createdMs: number;
  readonly volumes: readonly VolumeFile[];
}

const manifestName = 'manifest.json';
/** Tars of chains are mostly zeros and random bytes: trying harder gives nothing. */
const level = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
const tellMs = 1000;

/**
 * The files of snapshots: a folder for each, named by its id, with one `<member>.<volume>.tar.zst` for each volume and a manifest with their
 * SHA-256 sums. It appears under its name only when it is whole and on disk.
 */
export class SnapshotFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Copies all volumes, one after another. Result: bytes on disk. A first try that was cut off is begun anew.
   * Errors: those of `read`; `resource_exhausted` with reason `snapshot_too_large`; `failed_precondition` with reason `disk_full`.
   */
  async save(
    snapshot: StoredSnapshot,
    read: (volume: VolumePlace) => AsyncIterable<Uint8Array>,
    { sizeBytesMax, onBytes, signal }: SaveOptions,
  ): Promise<number> {
    const partial = this.#path(`${snapshot.id}.part`);
    try {
      await rm(partial, { recursive: true, force: true });
      await mkdir(partial, { recursive: true, mode: 0o700 });
      const volumes: VolumeFile[] = [];
      let leftBytes = sizeBytesMax;
      for (const place of snapshot.volumes) {
        const file = `${place.member}.${place.volume}.tar.zst`;
        const source = toldOf(read(place), (sizeBytes) => onBytes(place, sizeBytes));
        const written = await writeVolume(join(partial, file), source, leftBytes, signal);
        leftBytes -= written.sizeBytes;
        volumes.push({ ...place, file, ...written });
      }
      const { id, cluster, incarnation, blueprint, digest, parameters, createdMs } = snapshot;
      const manifest: Manifest = {
        format: 1,
        snapshot: id,
        cluster,
        incarnation,
        blueprint,
        digest,
        parameters,
        createdMs,
        volumes,
      };
      await writeFile(join(partial, manifestName), JSON.stringify(manifest, undefined, 2), { mode: 0o600, flush: true });
      await syncFolder(partial);
      await rm(this.#path(id), { recursive: true, force: true });
      await rename(partial, this.#path(id));
      await syncFolder(this.#folder);
      return sizeBytesMax - leftBytes;
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      if (isSystemError(error, 'ENOSPC', 'EDQUOT'))
        throw failedPrecondition('The disk that snapshots are kept on is full', { reason: 'disk_full', cause: error });
      throw error;
    }
  }

  /** All files are there and as they were written. Errors: `data_loss` with reason `snapshot_damaged` or `snapshot_missing`. */
  async check({ id }: Pick<StoredSnapshot, 'id'>, signal: AbortSignal): Promise<readonly VolumeFile[]> {
    const manifest = await this.#manifest(id);
    for (const { file, sha256, member, volume } of manifest.volumes) {
      const hash = createHash('sha256');
      try {
        await pipeline(createReadStream(join(this.#path(id), file)), hash, { signal });
      } catch (error) {
        if (isSystemError(error, 'ENOENT')) throw missing(error);
        throw error;
      }
      if (hash.digest('hex') === sha256) continue;
      throw damaged({ member, volume });
    }
    return manifest.volumes;
  }

  /** The archive of one volume. */
  async *read({ id }: Pick<StoredSnapshot, 'id'>, { file }: VolumeFile, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const content = createReadStream(join(this.#path(id), file), { signal });
    const archive = createZstdDecompress();
    const feeding = pipeline(content, archive);
    // Its failure destroys the archive, which whoever reads sees.
    feeding.catch(() => undefined);
    try {
      for await (const piece of archive) yield piece as Uint8Array;
    } finally {
      archive.destroy();
    }
  }

  /**
   * All of it as one tar archive: the manifest, sums as `sha256sum -c` reads them, and the archives of the volumes.
   * Errors: `data_loss` with reason `snapshot_damaged` or `snapshot_missing`, also in the middle.
   */
  async *pack({ id, name, createdMs }: StoredSnapshot, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const manifest = await this.#manifest(id);
    const archive = pack();
    const entry = (file: string, sizeBytes: number) => ({
      ...{ name: `${name}/${file}`, size: sizeBytes, mode: 0o600, mtime: new Date(createdMs) },
    });
    const filling = (async () => {
      const sums = manifest.volumes.map(({ file, sha256 }) => `${sha256}  ${file}\n`).join('');
      const texts = { [manifestName]: JSON.stringify(manifest, undefined, 2), SHA256SUMS: sums };
      for (const [file, text] of Object.entries(texts)) archive.entry(entry(file, Buffer.byteLength(text)), text);
      for (const volume of manifest.volumes) {
        const hash = createHash('sha256');
        async function* hashed(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
          for await (const piece of pieces) {
            hash.update(piece);
            yield piece;
          }
          if (hash.digest('hex') !== volume.sha256) throw damaged(volume);
        }
        const content = createReadStream(join(this.#path(id), volume.file));
        await pipeline(content, hashed, archive.entry(entry(volume.file, volume.sizeBytes)), { signal });
      }
      archive.finalize();
    })();
    filling.catch((error: unknown) => archive.destroy(Fault.from(error)));
    try {
      for await (const piece of archive) yield piece as Uint8Array;
    } catch (error) {
      throw isSystemError(error, 'ENOENT') ? missing(error) : error;
    } finally {
      archive.destroy();
    }
  }

  /** Also what is left of one that was never whole. */
  async remove({ id }: Pick<StoredSnapshot, 'id'>): Promise<void> {
    await rm(this.#path(id), { recursive: true, force: true });
    await rm(this.#path(`${id}.part`), { recursive: true, force: true });
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  async #manifest(id: string): Promise<Manifest> {
    try {
      return JSON.parse(await readFile(join(this.#path(id), manifestName), 'utf8')) as Manifest;
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) throw missing(error);
      if (error instanceof SyntaxError)
        throw new Fault(Code.DataLoss, 'The snapshot is damaged: its manifest cannot be read', {
          reason: 'snapshot_damaged',
          cause: error,
        });
      throw error;
    }
  }
}

async function writeVolume(
  path: string,
  source: AsyncIterable<Uint8Array>,
  sizeBytesMax: number,
  signal: AbortSignal,
): Promise<Pick<VolumeFile, 'sizeBytes' | 'sha256'>> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  async function* counted(compressed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of compressed) {
      sizeBytes += piece.byteLength;
      if (sizeBytes > sizeBytesMax) {
        throw exhausted('The snapshot would be larger than snapshots may be', {
          reason: 'snapshot_too_large',
          hint: 'Raise the setting fleet.snapshotSizeMaxMib.',
        });
      }
      hash.update(piece);
      yield piece;
    }
  }
  const target = createWriteStream(path, { flags: 'wx', mode: 0o600, flush: true });
  await pipeline(source, createZstdCompress(level), counted, target, { signal });
  return { sizeBytes, sha256: hash.digest('hex') };
}

async function* toldOf(
  source: AsyncIterable<Uint8Array>,
  tell: (sizeBytes: number) => Promise<void>,
): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0;
  let toldMs = Number.NEGATIVE_INFINITY;
  for await (const piece of source) {
    sizeBytes += piece.byteLength;
    yield piece;
    if (performance.now() - toldMs < tellMs) continue;
    toldMs = performance.now();
    await tell(sizeBytes);
  }
}

const damaged = ({ member, volume }: VolumePlace): Fault =>
  new Fault(Code.DataLoss, `The snapshot is damaged: volume "${volume}" of member "${member}" is not what was written`, {
    reason: 'snapshot_damaged',
  });

const missing = (cause: unknown): Fault =>
  new Fault(Code.DataLoss, 'The files of the snapshot are not here', {
    reason: 'snapshot_missing',
    hint: 'They lie in the folder of the service on the machine whose watchdog took it; share that folder among replicas.',
    cause,
  });
