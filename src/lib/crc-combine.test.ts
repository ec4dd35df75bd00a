import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createChecksum } from './checksum.ts';
import { type CombinableCrc, combineCrcs, isCombinableCrc } from './crc-combine.ts';

const algorithms: readonly CombinableCrc[] = ['crc32', 'crc32c', 'crc64nvme'];

function digestOf(algorithm: CombinableCrc, bytes: Uint8Array): Buffer {
  const checksum = createChecksum(algorithm);
  checksum.update(bytes);
  return checksum.digest();
}

for (const algorithm of algorithms) {
  test(`${algorithm} of parts is that of the whole`, () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }), (pieces) => {
        const parts = pieces.map((bytes) => ({ digest: digestOf(algorithm, bytes), sizeBytes: bytes.length }));
        assert.deepEqual(combineCrcs(algorithm, parts), digestOf(algorithm, Buffer.concat(pieces)));
      }),
    );
  });

  test(`${algorithm} of long parts`, () => {
    const pieces = [Buffer.alloc(5 * 1024 * 1024, 'a'), Buffer.alloc(5 * 1024 * 1024, 'b'), Buffer.from('end')];
    const parts = pieces.map((bytes) => ({ digest: digestOf(algorithm, bytes), sizeBytes: bytes.length }));
    assert.deepEqual(combineCrcs(algorithm, parts), digestOf(algorithm, Buffer.concat(pieces)));
  });
}

test('hashes cannot be combined', () => {
  assert.deepEqual(['crc32', 'sha1', 'sha256', 'toString'].map(isCombinableCrc), [true, false, false, false]);
});
