import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { ByteRange } from './byte-range.ts';

/** Plain bytes of a chunk; only the last one of a sequence may be shorter. */
export const sealedChunkSizeBytes = 64 * 1024;

const tagSizeBytes = 16;
const cipherName = 'aes-256-gcm';

/** Sealed bytes are not what was sealed: changed, cut short, reordered, or of another key. */
export class SealError extends Error {}

/*
 * Bytes that only the holder of a key can read and nobody can change unseen: AES-256-GCM in chunks, so that any part can be read without the rest.
 *
 * Each chunk's nonce is its index and whether it is the last one, so a chunk that is elsewhere, missing or too many does not open. A key
 * must therefore seal one sequence only. An empty sequence is one empty chunk: its absence is seen too. The idea is that of the STREAM
 * construction (Hoang, Reyhanitabar, Rogaway, Vizar: "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance").
 */

const chunkCount = (plainSizeBytes: number): number => Math.max(1, Math.ceil(plainSizeBytes / sealedChunkSizeBytes));

/** How many bytes so many plain bytes become. */
export const sealedSizeBytes = (plainSizeBytes: number): number => plainSizeBytes + chunkCount(plainSizeBytes) * tagSizeBytes;

/** The sealed bytes that a part of the plain ones needs: whole chunks. `range` lies inside and is not empty, or is all of nothing. */
export function sealedRange(range: ByteRange, plainSizeBytes: number): ByteRange {
  const sealedChunk = sealedChunkSizeBytes + tagSizeBytes;
  const first = Math.floor(range.first / sealedChunkSizeBytes) * sealedChunk;
  const chunksToEnd = Math.floor(Math.max(range.first, range.last) / sealedChunkSizeBytes) + 1;
  return { first, last: Math.min(chunksToEnd * sealedChunk, sealedSizeBytes(plainSizeBytes)) - 1 };
}

/** Seals bytes while they pass. `key` has 32 bytes and seals nothing else, ever. */
export async function* sealBytes(key: Uint8Array, plain: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let index = 0;
  // The last chunk is known to be that only at the end, so one is held back.
  let held: Buffer | undefined;
  for await (const chunk of inChunks(plain, sealedChunkSizeBytes)) {
    if (held) yield sealChunk(key, index++, false, held);
    held = chunk;
  }
  yield sealChunk(key, index, true, held ?? Buffer.alloc(0));
}

/**
 * Opens sealed bytes while they pass: exactly those of `sealedRange(range, plainSizeBytes)`. Gives the plain bytes of `range`.
 * Errors: `SealError`, before any byte of the bad chunk is given.
 */
export async function* unsealBytes(
  key: Uint8Array,
  sealed: AsyncIterable<Uint8Array>,
  { range, plainSizeBytes }: { readonly range: ByteRange; readonly plainSizeBytes: number },
): AsyncGenerator<Uint8Array> {
  const lastIndex = chunkCount(plainSizeBytes) - 1;
  let index = Math.floor(range.first / sealedChunkSizeBytes);
  const endIndex = Math.floor(Math.max(range.first, range.last) / sealedChunkSizeBytes);
  for await (const chunk of inChunks(sealed, sealedChunkSizeBytes + tagSizeBytes)) {
    if (index > endIndex) throw new SealError('There is more than was sealed');
    const plain = openChunk(key, index, index === lastIndex, chunk);
    const offset = index * sealedChunkSizeBytes;
    const piece = plain.subarray(Math.max(0, range.first - offset), Math.max(0, range.last + 1 - offset));
    index += 1;
    if (piece.length > 0) yield piece;
  }
  if (index !== endIndex + 1) throw new SealError('There is less than was sealed');
}

function nonceOf(index: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(index, 7);
  nonce.writeUInt8(isLast ? 1 : 0, 11);
  return nonce;
}

function sealChunk(key: Uint8Array, index: number, isLast: boolean, plain: Uint8Array): Buffer {
  const cipher = createCipheriv(cipherName, key, nonceOf(index, isLast));
  const body = cipher.update(plain);
  cipher.final();
  return Buffer.concat([body, cipher.getAuthTag()]);
}

function openChunk(key: Uint8Array, index: number, isLast: boolean, sealed: Buffer): Buffer {
  if (sealed.length < tagSizeBytes) throw new SealError('A chunk is cut short');
  const decipher = createDecipheriv(cipherName, key, nonceOf(index, isLast), { authTagLength: tagSizeBytes });
  decipher.setAuthTag(sealed.subarray(-tagSizeBytes));
  const plain = decipher.update(sealed.subarray(0, -tagSizeBytes));
  try {
    decipher.final();
  } catch (error) {
    throw new SealError('A chunk is not what was sealed', { cause: error });
  }
  return plain;
}

/** The same bytes in pieces of one size, but the last. */
async function* inChunks(pieces: AsyncIterable<Uint8Array>, sizeBytes: number): AsyncGenerator<Buffer> {
  let waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  for await (const piece of pieces) {
    let rest = piece;
    while (waitingBytes + rest.length >= sizeBytes) {
      const taken = sizeBytes - waitingBytes;
      yield Buffer.concat([...waiting, rest.subarray(0, taken)], sizeBytes);
      rest = rest.subarray(taken);
      waiting = [];
      waitingBytes = 0;
    }
    if (rest.length > 0) waiting.push(rest);
    waitingBytes += rest.length;
  }
  if (waitingBytes > 0) yield Buffer.concat(waiting, waitingBytes);
}
