import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ChecksumAlgorithm, checksumAlgorithms, checksumSizeBytes, createChecksum } from './checksum.ts';

/** Check values of the catalogues of CRC algorithms and of the hash standards, for `123456789`. */
const expected: Readonly<Record<ChecksumAlgorithm, string>> = {
  crc32: 'cbf43926',
  crc32c: 'e3069283',
  crc64nvme: 'ae8b14860a799888',
  sha1: 'f7c3bc1d808e04732adf679965ccc34ca7ae3441',
  sha256: '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225',
};

for (const algorithm of checksumAlgorithms) {
  test(`${algorithm} has its check value, in one piece and in several`, () => {
    for (const pieces of [['123456789'], ['1', '', '2345', '6789']]) {
      const checksum = createChecksum(algorithm);
      for (const piece of pieces) checksum.update(Buffer.from(piece));
      const digest = checksum.digest();
      assert.equal(digest.toString('hex'), expected[algorithm]);
      assert.equal(digest.length, checksumSizeBytes[algorithm]);
    }
  });
}
