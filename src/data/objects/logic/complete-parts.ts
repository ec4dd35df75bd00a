import { createHash } from 'node:crypto';
import { invalidArgument } from '#kernel/fault.ts';
import { type ChecksumAlgorithm, createChecksum } from '#lib/checksum.ts';
import { combineCrcs, isCombinableCrc } from '#lib/crc-combine.ts';
import type { Checksums, CompletedPart, CompleteOptions, PartInfo, UploadChecksum } from '#s3/backend.ts';

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
export function completeEtag(parts: readonly Pick<PartInfo, 'etag'>[]): string {
  const md5 = createHash('md5');
  for (const part of parts) md5.update(part.etag, 'hex');
  return `${md5.digest('hex')}-${parts.length}`;
}

/** The checksum of the whole, which follows from those of its parts. Errors: `invalid_part` for one without. */
export function completeChecksums(checksum: UploadChecksum | undefined, parts: readonly PartInfo[]): Checksums {
  if (!checksum) return {};
  const { algorithm, kind } = checksum;
  const digests = parts.map(({ partNumber, sizeBytes, checksums }) => {
    const value = checksums[algorithm];
    if (value === undefined) {
      throw invalidArgument(`Part ${partNumber} was uploaded without its ${algorithm.toUpperCase()} checksum`, {
        reason: 'invalid_part',
      });
    }
    return { digest: Buffer.from(value, 'base64'), sizeBytes };
  });
  if (kind === 'composite') {
    const whole = createChecksum(algorithm);
    for (const { digest } of digests) whole.update(digest);
    return { [algorithm]: `${whole.digest().toString('base64')}-${parts.length}` };
  }
  if (!isCombinableCrc(algorithm)) throw notCombinable(algorithm);
  return { [algorithm]: combineCrcs(algorithm, digests).toString('base64') };
}

/** Errors: `invalid_request` for a whole whose checksum would need all bytes to be read again. */
export function assertUploadChecksum(checksum: UploadChecksum | undefined): void {
  if (checksum?.kind === 'full_object' && !isCombinableCrc(checksum.algorithm)) throw notCombinable(checksum.algorithm);
}

/** Errors: `wrong_checksum`, `wrong_size` when the whole is not what its sender says. */
export function assertExpected(expected: CompleteOptions['expected'], checksums: Checksums, sizeBytes: number): void {
  if (expected?.sizeBytes !== undefined && expected.sizeBytes !== sizeBytes) {
    throw invalidArgument(`The parts have ${sizeBytes} bytes together, not ${expected.sizeBytes}`, { reason: 'wrong_size' });
  }
  for (const [algorithm, value] of Object.entries(expected?.checksums ?? {})) {
    const found = checksums[algorithm as ChecksumAlgorithm];
    // The number of parts may be left out of a checksum of checksums.
    if (found === undefined || (found !== value && found.replace(/-\d+$/, '') !== value)) {
      throw invalidArgument(`The ${algorithm.toUpperCase()} checksum of the whole is not the one that was sent`, {
        reason: 'wrong_checksum',
      });
    }
  }
}

const notCombinable = (algorithm: ChecksumAlgorithm) =>
  invalidArgument(`A ${algorithm.toUpperCase()} checksum can only be made of those of the parts, not of the whole`, {
    reason: 'invalid_request',
  });
