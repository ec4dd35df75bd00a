import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePartFileName, partFileName } from './part-files.ts';

for (const [what, partNumber, checksums, expected] of [
  ['no checksum', 1, {}, '00001.0cc1'],
  ['a checksum', 10_000, { crc32: '+/8=' }, '10000.0cc1.crc32.-_8'],
] as const)
  test(`the name of a part with ${what} says all of it`, () => {
    const fileName = partFileName(partNumber, '0cc1', checksums);
    assert.equal(fileName, expected);
    assert.deepEqual(parsePartFileName(fileName), { partNumber, etag: '0cc1', checksums });
  });

for (const fileName of ['', 'upload.json', 'tmp-00001', '1.0cc1', '000001.0cc1'])
  test(`${JSON.stringify(fileName)} is no part`, () => {
    assert.equal(parsePartFileName(fileName), undefined);
  });
