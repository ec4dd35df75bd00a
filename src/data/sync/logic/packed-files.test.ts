import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lastName, type PackedFile, packFile, unpackFiles } from './packed-files.ts';

const name = fc.string({ unit: 'binary', minLength: 1 }).filter((text) => !text.includes('/'));
const file: fc.Arbitrary<PackedFile> = fc.record(
  {
    name,
    sizeBytes: fc.maxSafeNat(),
    mtimeUs: fc.maxSafeInteger(),
    inode: fc.oneof(fc.maxSafeNat(), fc.constantFrom(2 ** 53, 2 ** 63, 2 ** 64 - 2048)),
  },
  { noNullPrototype: true },
);

test('what is packed comes back', () => {
  fc.assert(
    fc.property(fc.array(file, { maxLength: 5 }), (files) => {
      const text = files.map((one, at) => packFile(one, at === 0)).join('');
      assert.deepEqual(unpackFiles(text), files);
      assert.equal(lastName(text), files.at(-1)?.name);
    }),
  );
});
