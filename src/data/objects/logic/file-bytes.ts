import type { ByteRange } from '#lib/byte-range.ts';
import type { ByteStream } from '#s3/backend.ts';
import { close, read, readNow } from './fs.ts';

const pieceSizeBytes = 256 * 1024;

/** The given part of an open file, one piece ahead of the reader. Disposing closes the file. */
export function createFileBytes(fd: number, range: ByteRange): ByteStream {
  let ahead: Promise<Uint8Array> | undefined;
  let isClosed = false;

  const next = (position: number): Promise<Uint8Array> => {
    const length = Math.min(pieceSizeBytes, range.last + 1 - position);
    const buffer = Buffer.allocUnsafeSlow(length);
    ahead = read(fd, buffer, length, position).then((count) => buffer.subarray(0, count));
    // A failure is seen where the piece is awaited; when nobody comes for it, it is of no interest.
    ahead.catch(() => undefined);
    return ahead;
  };

  return {
    async *[Symbol.asyncIterator]() {
      let position = range.first;
      let pending = next(position);
      for (;;) {
        const piece = await pending;
        if (piece.length === 0) return;
        position += piece.length;
        const isLast = position > range.last;
        if (!isLast) pending = next(position);
        yield piece;
        if (isLast) return;
      }
    },
    async [Symbol.asyncDispose]() {
      if (isClosed) return;
      isClosed = true;
      await ahead?.catch(() => undefined);
      close(fd);
    },
  };
}

/** A part of an open file at once; shorter when the file is. */
export async function readPart(fd: number, range: ByteRange): Promise<Uint8Array> {
  const length = range.last + 1 - range.first;
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const count = await read(fd, buffer.subarray(filled), length - filled, range.first + filled);
    if (count === 0) break;
    filled += count;
  }
  return buffer.subarray(0, filled);
}

/** The same without waiting, for small parts. */
export function readPartNow(fd: number, range: ByteRange): Uint8Array {
  const length = range.last + 1 - range.first;
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const count = readNow(fd, buffer, filled, length - filled, range.first + filled);
    if (count === 0) break;
    filled += count;
  }
  return buffer.subarray(0, filled);
}
