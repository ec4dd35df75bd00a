import { type BigIntStats, constants } from 'node:fs';
import type { BodyDigest, ObjectBody } from '#s3/backend.ts';
import { exactVolume, type Volume } from '../../volume.ts';
import type { Envelope } from '../encryption/envelope.ts';
import type { ContentEncoder } from './content-coding.ts';
import type { Directory } from './directory.ts';
import { close, fdatasync, fstat, futimes, lstat, open, removeIfThere, rename, utimes, writev } from './fs.ts';
import { mtimeMsOf, stampOf, statsOn } from './stamp.ts';

/** A whole, verified and durable file that nobody sees yet. Disposing removes it, unless it was moved away. */
export interface TemporaryFile extends AsyncDisposable {
  /** What the body had; the file may have more. */
  readonly sizeBytes: number;
  readonly fileSizeBytes: number;
  /** Set: the bytes are sealed. */
  readonly envelope: Envelope | undefined;
  readonly mtimeMs: number;
  readonly stamp: string;
  readonly digest: BodyDigest;
  /** Gives it an older time, where another file of its size has its time already and nothing else tells them apart. */
  age(): Promise<void>;
  /** Gives the file its place. */
  moveTo(path: string): Promise<void>;
}

const batchSizeBytes = 1024 * 1024;

/**
 * Writes a body to a new file in `directory`, which must stay open as long as the file is used.
 * Errors: those of the body, and system errors; the file is gone then.
 */
export async function writeTemporaryFile(
  directory: Directory,
  name: string,
  body: ObjectBody,
  { encoder, volume = exactVolume }: { readonly encoder?: ContentEncoder | undefined; readonly volume?: Volume } = {},
): Promise<TemporaryFile> {
  const path = directory.at(name);
  const fd = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o666);
  try {
    let sizeBytes = 0;
    const plain = encoder ? counted(body.bytes, (count) => (sizeBytes += count)) : body.bytes;
    await writeAll(fd, encoder ? encoder.encode(plain) : plain);
    const digest = await body.verify();
    await backdate(fd, volume);
    await fdatasync(fd);
    const stats = fstat(fd);
    return temporaryFile({
      ...{ path, stats, volume, envelope: encoder?.envelope, digest },
      sizeBytes: encoder ? sizeBytes : Number(stats.size),
    });
  } catch (error) {
    await removeIfThere(path);
    throw error;
  } finally {
    close(fd);
  }
}

export interface MadeFile extends Pick<TemporaryFile, 'sizeBytes' | 'envelope' | 'digest'> {
  readonly path: string;
  readonly stats: BigIntStats;
  readonly volume: Volume;
  /** What disposing does with a file that was not moved; default: it is removed. */
  readonly giveUp?: () => Promise<unknown>;
}

/** A file that was made at `path`. */
export function temporaryFile(made: MadeFile): TemporaryFile {
  const { path, volume, giveUp = () => removeIfThere(path), sizeBytes, envelope, digest } = made;
  let stats = statsOn(volume, made.stats);
  let isMoved = false;
  return {
    ...{ sizeBytes, envelope, digest, fileSizeBytes: Number(stats.size) },
    get mtimeMs() {
      return mtimeMsOf(stats);
    },
    get stamp() {
      return stampOf(stats);
    },
    async age() {
      const time = (mtimeMsOf(stats) - Math.max(1, volume.tickMs)) / 1000;
      await utimes(path, time, time);
      stats = statsOn(volume, await lstat(path));
    },
    moveTo: async (target) => {
      await rename(path, target);
      isMoved = true;
    },
    [Symbol.asyncDispose]: async () => {
      if (!isMoved) await giveUp();
    },
  };
}

/** Where times are that coarse, somebody may write to the file yet in the tick in which we have written it. */
const coarseTickMs = 1000;

/** On a volume with coarse times, gives a file that we have written a time of the tick before: what others write to it is told by its time then. */
export async function backdate(fd: number, { tickMs }: Volume): Promise<void> {
  if (tickMs < coarseTickMs) return;
  const time = (Math.floor(Date.now() / tickMs) - 1) * (tickMs / 1000);
  await futimes(fd, time, time);
}

/** Bytes, with each piece's size told while they pass. */
export async function* counted(bytes: AsyncIterable<Uint8Array>, count: (sizeBytes: number) => void): AsyncGenerator<Uint8Array> {
  for await (const piece of bytes) {
    count(piece.length);
    yield piece;
  }
}

/** Few large writes instead of one per piece that came over the network. Absent `position`: after what is there. */
export async function writeAll(fd: number, bytes: AsyncIterable<Uint8Array>, position?: number): Promise<void> {
  let batch: Uint8Array[] = [];
  let batched = 0;
  let at = position ?? null;
  const flush = async (): Promise<void> => {
    await writePieces(fd, batch, at);
    if (at !== null) at += batched;
    batch = [];
    batched = 0;
  };
  for await (const piece of bytes) {
    batch.push(piece);
    batched += piece.length;
    if (batched >= batchSizeBytes) await flush();
  }
  await flush();
}

/** All of the pieces, however few bytes the disk takes at once; at `position`, or with `null` after what is there. */
export async function writePieces(fd: number, pieces: readonly Uint8Array[], position: number | null): Promise<void> {
  let rest = pieces.filter((piece) => piece.length > 0);
  let at = position;
  while (rest.length > 0) {
    let written = await writev(fd, rest, at);
    if (at !== null) at += written;
    rest = rest.flatMap((piece) => {
      const skipped = Math.min(written, piece.length);
      written -= skipped;
      return skipped === piece.length ? [] : [piece.subarray(skipped)];
    });
  }
}
