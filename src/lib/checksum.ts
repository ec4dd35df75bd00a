import { createHash, type Hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { type Crc, createCrc32c, createCrc64Nvme } from './crc.ts';

/** The additional checksums of S3, by the word used in `x-amz-checksum-<algorithm>`. */
export const checksumAlgorithms = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'] as const;
export type ChecksumAlgorithm = (typeof checksumAlgorithms)[number];

/** Length of the raw digest in bytes. */
export const checksumSizeBytes: Readonly<Record<ChecksumAlgorithm, number>> = {
  crc32: 4,
  crc32c: 4,
  crc64nvme: 8,
  sha1: 20,
  sha256: 32,
};

export const isChecksumAlgorithm = (word: string): word is ChecksumAlgorithm =>
  checksumAlgorithms.some((known) => known === word);

/** A running checksum of bytes; the same shape for checks and hashes. */
export function createChecksum(algorithm: ChecksumAlgorithm): Crc {
  if (algorithm === 'crc32') return createCrc32();
  if (algorithm === 'crc32c') return createCrc32c();
  if (algorithm === 'crc64nvme') return createCrc64Nvme();
  const hash: Hash = createHash(algorithm);
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() };
}

function createCrc32(): Crc {
  let state = 0;
  return {
    update(bytes) {
      state = crc32(bytes, state);
    },
    digest() {
      const result = Buffer.alloc(4);
      result.writeUInt32BE(state);
      return result;
    },
  };
}
