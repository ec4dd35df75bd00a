import { type BigIntStats, constants } from 'node:fs';
import type { Volume } from '../../volume.ts';
import type { Directory } from './directory.ts';
import { close, fstat, fsync, ftruncate, futimes, open, read } from './fs.ts';
import type { StoredPart } from './part-files.ts';
import type { PartPlaces } from './part-places.ts';
import { backdate, writePieces } from './temporary-file.ts';

/** A part with its size on disk, which is more than its own when it is sealed. */
export interface SizedPart {
  readonly part: StoredPart;
  readonly sizeBytes: number;
}

export interface Assembled {
  /** In the upload's folder; durable. */
  readonly fileName: string;
  readonly sizeBytes: number;
  readonly stats: BigIntStats;
}

/** The file of the whole, that parts are written to where they will be. */
export const wholeFileName = (strideBytes: number): string => `whole-${strideBytes}`;

export function parseWholeFileName(fileName: string): number | undefined {
  const match = /^whole-(\d+)$/.exec(fileName);
  return match ? Number(match[1]) : undefined;
}

const copySizeBytes = 4 * 1024 * 1024;

/**
 * Makes one file of the parts, in their order, with as little copying as can be: one part is its own file; parts that were written where
 * they belong only need the others at their places; else all are copied. The parts remain as they were, so it may be repeated.
 *
 * `places` is closed, or undefined when somebody may still be writing at one.
 */
export async function assembleParts(
  directory: Directory,
  parts: readonly SizedPart[],
  strideBytes: number | undefined,
  places: PartPlaces | undefined,
  volume: Volume,
): Promise<Assembled> {
  const [only] = parts;
  if (parts.length === 1 && only && !only.part.isPlaced)
    return await finish(directory, only.part.fileName, only.sizeBytes, volume);
  const wholeName = wholeFileName(strideBytes ?? 0);
  const isWhole = places?.isWhole(parts) === true;
  const fileName = isWhole ? wholeName : 'joined';
  const fd = await open(directory.at(fileName), constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW, 0o666);
  let position = 0;
  try {
    for (const { part, sizeBytes } of parts) {
      const source = part.isPlaced
        ? { name: wholeName, first: (part.partNumber - 1) * (strideBytes ?? 0) }
        : { name: part.fileName, first: 0 };
      if (!(isWhole && part.isPlaced)) await copyInto(fd, position, directory.at(source.name), source.first, sizeBytes);
      position += sizeBytes;
    }
  } finally {
    close(fd);
  }
  return await finish(directory, fileName, position, volume);
}

/** What lies behind the end are parts that came to nothing. */
async function finish(directory: Directory, fileName: string, sizeBytes: number, volume: Volume): Promise<Assembled> {
  const fd = await open(directory.at(fileName), constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    if (Number(fstat(fd).size) < sizeBytes) throw new Error(`A file of an upload has less than ${sizeBytes} bytes`);
    await ftruncate(fd, sizeBytes);
    const now = new Date();
    await futimes(fd, now, now);
    await backdate(fd, volume);
    await fsync(fd);
    return { fileName, sizeBytes, stats: fstat(fd) };
  } finally {
    close(fd);
  }
}

async function copyInto(target: number, position: number, path: string, first: number, sizeBytes: number): Promise<void> {
  const fd = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const buffer = Buffer.allocUnsafeSlow(Math.min(copySizeBytes, sizeBytes));
  try {
    for (let done = 0; done < sizeBytes; ) {
      const count = await read(fd, buffer, Math.min(buffer.length, sizeBytes - done), first + done);
      if (count === 0) throw new Error(`A part of an upload has less than ${sizeBytes} bytes`);
      await writePieces(target, [buffer.subarray(0, count)], position + done);
      done += count;
    }
  } finally {
    close(fd);
  }
}
