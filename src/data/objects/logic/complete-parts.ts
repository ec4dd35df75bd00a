import { createHash } from 'node:crypto';
import { invalidArgument } from '#kernel/fault.ts';
import { type ChecksumAlgorithm, createChecksum } from '#lib/checksum.ts';
import type { Checksums, CompletedPart, PartInfo } from '#s3/backend.ts';

/** What becomes of the parts of an upload when it is completed. */

/**
 * The stored parts that a completion names, in its order.
 * Errors: `invalid_part` for one that was not uploaded or is another; `entity_too_small` for one but the last under the least size.
 */
export function chooseParts<P extends PartInfo>(
  wanted: readonly CompletedPart[],
  stored: readonly P[],
  partSizeBytesMin: number,
): readonly P[] {
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

/** The etag of the whole: the MD5 of those of its parts, and their number. */
export function completeEtag(parts: readonly PartInfo[]): string {
  const md5 = createHash('md5');
  for (const part of parts) md5.update(part.etag, 'hex');
  return `${md5.digest('hex')}-${parts.length}`;
}

/** The checksum of the whole that is made of those of its parts. Errors: `invalid_part` for one without. */
export function compositeChecksum(algorithm: ChecksumAlgorithm, parts: readonly PartInfo[]): Checksums {
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
