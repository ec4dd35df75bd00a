import { constants } from 'node:fs';
import { type ChecksumAlgorithm, createChecksum, isChecksumAlgorithm } from '#lib/checksum.ts';
import type { Checksums, ObjectBody, PartInfo } from '#s3/backend.ts';
import type { Directory } from './directory.ts';
import { createFileBytes } from './file-bytes.ts';
import { fstat, lstat, open, readdir } from './fs.ts';
import { mtimeMsOf } from './stamp.ts';

/** A part of a running upload: a file whose name says what cannot be read from it without reading all of it. */
export interface StoredPart extends PartInfo {
  readonly fileName: string;
}

/** `<number>.<md5>.<algorithm>.<checksum>`, without the last two when the part came without a checksum. */
export function partFileName(partNumber: number, md5Hex: string, checksums: Checksums): string {
  const [checksum] = Object.entries(checksums);
  const suffix = checksum ? `.${checksum[0]}.${Buffer.from(checksum[1], 'base64').toString('base64url')}` : '';
  return `${String(partNumber).padStart(5, '0')}.${md5Hex}${suffix}`;
}

/** `undefined` for names that are not of parts. */
export function parsePartFileName(fileName: string): Pick<PartInfo, 'partNumber' | 'etag' | 'checksums'> | undefined {
  const [number = '', etag = '', algorithm = '', checksum = ''] = fileName.split('.');
  if (!/^\d{5}$/.test(number)) return undefined;
  const checksums: Checksums = isChecksumAlgorithm(algorithm)
    ? { [algorithm]: Buffer.from(checksum, 'base64url').toString('base64') }
    : {};
  return { partNumber: Number(number), etag, checksums };
}

/** The parts in an upload's folder by their numbers. */
export async function readParts(directory: Directory): Promise<readonly StoredPart[]> {
  const byNumber = new Map<number, StoredPart>();
  for (const fileName of (await readdir(directory.at('.'))).sort()) {
    const named = parsePartFileName(fileName);
    if (!named) continue;
    const stats = await lstat(directory.at(fileName));
    const part = { ...named, sizeBytes: Number(stats.size), mtimeMs: mtimeMsOf(stats), fileName };
    const other = byNumber.get(part.partNumber);
    // Two of one number remain when we were killed between writing the new one and removing the old one.
    if (!other || other.mtimeMs <= part.mtimeMs) byNumber.set(part.partNumber, part);
  }
  return [...byNumber.values()].sort((a, b) => a.partNumber - b.partNumber);
}

/** The parts one after another; the MD5 of the whole is not needed. */
export function joinedBody(
  directory: Directory,
  parts: readonly StoredPart[],
  algorithm: ChecksumAlgorithm | undefined,
): ObjectBody {
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
