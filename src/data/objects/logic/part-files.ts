import { type ChecksumAlgorithm, isChecksumAlgorithm } from '#lib/checksum.ts';
import type { Checksums, PartInfo } from '#s3/backend.ts';
import type { Directory } from './directory.ts';
import { lstat, readdir } from './fs.ts';
import { mtimeMsOf } from './stamp.ts';

/**
 * A part of a running upload. The name of its file says what could be found out only by reading it, so that nothing else is kept.
 * `isPlaced`: its bytes lie in the file of the whole, at the place they will have; its own file is empty.
 */
export interface StoredPart extends PartInfo {
  readonly isPlaced: boolean;
  readonly fileName: string;
}

/** Names that differ in more than their case, which some volumes ignore: `<number>.<etag>.<size>.<own or placed>`, and with a checksum `.<algorithm>.<checksum>`. */
export function partFileName({ partNumber, etag, sizeBytes, isPlaced, checksums }: NamedPart): string {
  const [checksum] = Object.entries(checksums);
  const suffix = checksum ? `.${checksum[0]}.${Buffer.from(checksum[1], 'base64').toString('hex')}` : '';
  return `${String(partNumber).padStart(5, '0')}.${etag}.${sizeBytes}.${isPlaced ? 'placed' : 'own'}${suffix}`;
}

type NamedPart = Omit<StoredPart, 'fileName' | 'mtimeMs'>;

/** `undefined` for names that are not of parts. */
export function parsePartFileName(fileName: string): NamedPart | undefined {
  const match = /^(\d{5})\.([0-9a-f]+)\.(\d+)\.(own|placed)(?:\.(\w+)\.([\w-]+))?$/.exec(fileName);
  if (!match) return undefined;
  const [, number, etag = '', size, place, algorithm = '', checksum = ''] = match;
  const checksums: Checksums = isChecksumAlgorithm(algorithm)
    ? { [algorithm satisfies ChecksumAlgorithm]: Buffer.from(checksum, isHex(checksum) ? 'hex' : 'base64url').toString('base64') }
    : {};
  return { partNumber: Number(number), etag, sizeBytes: Number(size), isPlaced: place === 'placed', checksums };
}

/** Checksums of uploads from before were written in another way, of other lengths. */
const isHex = (text: string): boolean => [8, 16, 40, 64].includes(text.length);

/** The parts in an upload's folder by their numbers. */
export async function readParts(directory: Directory): Promise<readonly StoredPart[]> {
  const byNumber = new Map<number, StoredPart>();
  for (const fileName of (await readdir(directory.at('.'))).sort()) {
    const named = parsePartFileName(fileName);
    if (!named) continue;
    const part = { ...named, mtimeMs: mtimeMsOf(await lstat(directory.at(fileName))), fileName };
    const other = byNumber.get(part.partNumber);
    // Two of one number remain when we were killed between writing the new one and removing the old one.
    if (!other || other.mtimeMs <= part.mtimeMs) byNumber.set(part.partNumber, part);
  }
  return [...byNumber.values()].sort((a, b) => a.partNumber - b.partNumber);
}
