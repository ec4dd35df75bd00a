import { randomBytes } from 'node:crypto';
import type { ByteRange } from '#lib/byte-range.ts';
import { SealError, sealBytes, sealedRange, sealedSizeBytes, unsealBytes } from '#lib/sealed-bytes.ts';
import { read, readNow } from '../logic/fs.ts';
import { deriveKey, type Envelope } from './envelope.ts';

/*
 * A file of sealed bytes: one segment, or of a multipart object one per part.
 *
 *   magic (8) | size of envelope (4) | envelope, JSON | part number (4) | salt (32) | sealed chunks | plain size (8) | segment's size (8) | magic (8)
 *
 * A segment says all that is needed besides the key ring, so a file that was restored, moved or touched by another program opens still.
 * Each is sealed by a key of its own, made of the object's data key, its part number and the salt: parts come in any order and may be sent
 * again, and one in the place of another does not open.
 */

const headMagic = Buffer.from('CELSEAL1');
const footMagic = Buffer.from('CELSEALZ');
/** Part number and salt. */
const seedSizeBytes = 36;
const footSizeBytes = 24;
/** No envelope is larger. */
const envelopeSizeBytesMax = 16 * 1024;
const pieceSizeBytes = 256 * 1024;

/** `sizeBytes` are plain ones. What is not made of parts is one segment with number 0. */
export interface Segment {
  readonly partNumber: number;
  readonly sizeBytes: number;
}

/** What is known of a sealed file's content without its key; segments in the order of their numbers. */
export interface SealedFile {
  readonly envelope: Envelope;
  readonly segments: readonly Segment[];
}

const headOf = (envelope: Envelope): Buffer => {
  const text = Buffer.from(JSON.stringify(envelope));
  const size = Buffer.alloc(4);
  size.writeUInt32BE(text.length);
  return Buffer.concat([headMagic, size, text]);
};

/** How many bytes a segment of so many plain ones has. */
export const segmentSizeBytes = (envelope: Envelope, plainSizeBytes: number): number =>
  headOf(envelope).length + seedSizeBytes + sealedSizeBytes(plainSizeBytes) + footSizeBytes;

/** Bytes as a segment, while they pass. */
export async function* sealSegment(
  envelope: Envelope,
  dataKey: Uint8Array,
  partNumber: number,
  plain: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const seed = randomBytes(seedSizeBytes);
  seed.writeUInt32BE(partNumber);
  let plainSizeBytes = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const piece of plain) {
      plainSizeBytes += piece.length;
      yield piece;
    }
  }
  yield headOf(envelope);
  yield seed;
  yield* sealBytes(deriveKey(dataKey, seed, 'segment'), counted());
  const foot = Buffer.alloc(footSizeBytes);
  foot.writeBigUInt64BE(BigInt(plainSizeBytes), 0);
  foot.writeBigUInt64BE(BigInt(segmentSizeBytes(envelope, plainSizeBytes)), 8);
  foot.set(footMagic, 16);
  yield foot;
}

/** What an open file says of itself; `undefined` when it is no sealed file. */
export async function readSealedFile(fd: number, sizeBytes: number): Promise<SealedFile | undefined> {
  // Nearly every file is no sealed one; this look costs next to nothing.
  const head = Buffer.alloc(headMagic.length);
  if (readNow(fd, head, 0, head.length, 0) !== head.length || !head.equals(headMagic)) return undefined;
  const segments: Segment[] = [];
  let envelope: Envelope | undefined;
  for (let end = sizeBytes; end > 0; ) {
    const foot = await readExactly(fd, end - footSizeBytes, footSizeBytes);
    if (!foot?.subarray(16).equals(footMagic)) return undefined;
    const segmentBytes = Number(foot.readBigUInt64BE(8));
    const plainSizeBytes = Number(foot.readBigUInt64BE(0));
    const start = end - segmentBytes;
    const found = start >= 0 && segmentBytes > 0 ? await readEnvelope(fd, start) : undefined;
    if (!found || segmentSizeBytes(found, plainSizeBytes) !== segmentBytes) return undefined;
    const seed = await readExactly(fd, start + headOf(found).length, seedSizeBytes);
    const partNumber = seed?.readUInt32BE() ?? 0;
    if (partNumber >= (segments.at(-1)?.partNumber ?? Number.POSITIVE_INFINITY)) return undefined;
    envelope = found;
    segments.push({ partNumber, sizeBytes: plainSizeBytes });
    end = start;
  }
  return envelope && { envelope, segments: segments.reverse() };
}

/**
 * A part of a sealed file's plain bytes. Errors: `SealError` when the file is not what was written.
 *
 * `range` lies inside, or is empty.
 */
export async function* readSealedBytes(
  fd: number,
  { envelope, segments }: SealedFile,
  dataKey: Uint8Array,
  range: ByteRange,
): AsyncGenerator<Uint8Array> {
  const headSizeBytes = headOf(envelope).length;
  let start = 0;
  let plainStart = 0;
  const isEmpty = segments.every(({ sizeBytes }) => sizeBytes === 0);
  for (const { partNumber, sizeBytes: size } of segments) {
    const within = { first: Math.max(0, range.first - plainStart), last: Math.min(size, range.last + 1 - plainStart) - 1 };
    if (within.last >= within.first || isEmpty) {
      const seed = await readExactly(fd, start + headSizeBytes, seedSizeBytes);
      if (seed?.readUInt32BE() !== partNumber) throw new SealError('A segment is not where it was written');
      const chunks = sealedRange(within, size);
      const base = start + headSizeBytes + seedSizeBytes;
      const sealed = readPieces(fd, { first: base + chunks.first, last: base + chunks.last });
      yield* unsealBytes(deriveKey(dataKey, seed, 'segment'), sealed, { range: within, plainSizeBytes: size });
    }
    plainStart += size;
    start += segmentSizeBytes(envelope, size);
  }
}

async function readEnvelope(fd: number, at: number): Promise<Envelope | undefined> {
  const head = await readExactly(fd, at, headMagic.length + 4);
  if (!head?.subarray(0, headMagic.length).equals(headMagic)) return undefined;
  const size = head.readUInt32BE(headMagic.length);
  const text = size <= envelopeSizeBytesMax ? await readExactly(fd, at + head.length, size) : undefined;
  try {
    return text && (JSON.parse(text.toString()) as Envelope);
  } catch {
    // A file of somebody else that happens to begin like ours.
    return undefined;
  }
}

/** `undefined` when the file has not so many bytes there. */
async function readExactly(fd: number, position: number, length: number): Promise<Buffer | undefined> {
  if (position < 0) return undefined;
  const buffer = Buffer.alloc(length);
  for (let filled = 0; filled < length; ) {
    const count = await read(fd, buffer.subarray(filled), length - filled, position + filled);
    if (count === 0) return undefined;
    filled += count;
  }
  return buffer;
}

/** One piece ahead of the reader, so that the disk works while the processor does. */
async function* readPieces(fd: number, { first, last }: ByteRange): AsyncGenerator<Uint8Array> {
  const next = (position: number): Promise<Buffer> | undefined => {
    if (position > last) return undefined;
    const length = Math.min(pieceSizeBytes, last + 1 - position);
    const buffer = Buffer.allocUnsafeSlow(length);
    return read(fd, buffer, length, position).then((count) => buffer.subarray(0, count));
  };
  let position = first;
  let ahead = next(position);
  try {
    while (ahead) {
      const piece = await ahead;
      position += piece.length;
      ahead = piece.length > 0 ? next(position) : undefined;
      if (piece.length > 0) yield piece;
    }
  } finally {
    // The file may be closed only when nothing reads it any more; a failure of what nobody waits for is of no interest.
    await ahead?.catch(() => undefined);
  }
}
