import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePartFileName, partFileName } from './part-files.ts';

for (const [what, partNumber, isPlaced, checksums, expected] of [
  ['no checksum', 1, false, {}, '00001.0cc1.5.own'],
  ['a checksum', 10_000, true, { crc32: '+/+/8A==' }, '10000.0cc1.5.placed.crc32.fbffbff0'],
] as const)
  test(`the name of a part with ${what} says all of it`, () => {
    const part = { partNumber, etag: '0cc1', sizeBytes: 5, isPlaced, checksums };
    const fileName = partFileName(part);
    assert.equal(fileName, expected);
    assert.deepEqual(parsePartFileName(fileName), part);
  });

test('a checksum as it was written before is understood', () => {
  const name = '00001.0cc1.5.own.crc32.-_-_8A';
  assert.deepEqual(parsePartFileName(name)?.checksums, { crc32: '+/+/8A==' });
});

for (const fileName of ['', 'upload.json', 'tmp-00001', '1.0cc1.5.own', '000001.0cc1.5.own', '00001.0cc1', '00001.0cc1.5.here'])
  test(`${JSON.stringify(fileName)} is no part`, () => {
    assert.equal(parsePartFileName(fileName), undefined);
  });
