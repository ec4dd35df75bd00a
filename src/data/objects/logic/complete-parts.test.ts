import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CompletedPart, PartInfo } from '#s3/backend.ts';
import { assertExpected, assertUploadChecksum, chooseParts, completeChecksums, completeEtag } from './complete-parts.ts';

const part = (partNumber: number, sizeBytes = 5): PartInfo => ({
  partNumber,
  sizeBytes,
  mtimeMs: 0,
  etag: `0${partNumber}`,
  checksums: { crc32: 'AAAAAA==' },
});
const wanted = (partNumber: number, change: Partial<CompletedPart> = {}): CompletedPart => ({
  partNumber,
  etag: `0${partNumber}`,
  checksums: {},
  ...change,
});
const stored = [part(1), part(2), part(3, 1)];

for (const [what, parts, expected] of [
  ['all', [wanted(1), wanted(2), wanted(3)], [1, 2, 3]],
  ['some', [wanted(2), wanted(3)], [2, 3]],
  ['the same checksum', [wanted(1, { checksums: { crc32: 'AAAAAA==' } })], [1]],
  ['a small last one', [wanted(3)], [3]],
] as const)
  test(`parts are chosen: ${what}`, () => {
    assert.deepEqual(
      chooseParts(parts, stored, 5).map(({ partNumber }) => partNumber),
      expected,
    );
  });

for (const [what, parts, reason] of [
  ['one that was not uploaded', [wanted(4)], 'invalid_part'],
  ['another etag', [wanted(1, { etag: 'ff' })], 'invalid_part'],
  ['another checksum', [wanted(1, { checksums: { crc32: 'AAAAAQ==' } })], 'invalid_part'],
  ['a checksum nobody knows', [wanted(1, { checksums: { sha1: 'AA==' } })], 'invalid_part'],
  ['a small one before the last', [wanted(3), wanted(1)], 'entity_too_small'],
] as const)
  test(`parts are refused: ${what}`, () => {
    assert.throws(() => chooseParts(parts, stored, 5), { reason });
  });

test('the etag of the whole is the MD5 of those of its parts', () => {
  // MD5 of the bytes 01 02.
  assert.equal(completeEtag([part(1), part(2)]), '0cb988d042a7f28dd5fe2b55b3f5ac7a-2');
});

test('a checksum made of those of the parts needs them all', () => {
  const composite = (algorithm: 'crc32' | 'sha256') => ({ algorithm, kind: 'composite' }) as const;
  assert.equal(completeChecksums(composite('crc32'), [part(1), part(2)]).crc32?.endsWith('-2'), true);
  assert.throws(() => completeChecksums(composite('sha256'), [part(1)]), { reason: 'invalid_part' });
  assert.deepEqual(completeChecksums(undefined, [part(1)]), {});
});

test('a checksum of the whole follows from those of the parts, without their bytes', () => {
  const whole = { algorithm: 'crc32', kind: 'full_object' } as const;
  // CRC-32 of `12345` and `6789`; that of both is the check value of the catalogue.
  const parts = [
    { ...part(1, 5), checksums: { crc32: Buffer.from('cbf53a1c', 'hex').toString('base64') } },
    { ...part(2, 4), checksums: { crc32: Buffer.from('9dbabf87', 'hex').toString('base64') } },
  ];
  assert.deepEqual(completeChecksums(whole, parts), { crc32: Buffer.from('cbf43926', 'hex').toString('base64') });
  assert.throws(() => assertUploadChecksum({ algorithm: 'sha1', kind: 'full_object' }), { reason: 'invalid_request' });
});

test('the whole is what its sender says', () => {
  assertExpected(undefined, {}, 5);
  assertExpected({ sizeBytes: 5, checksums: { crc32: 'A' } }, { crc32: 'A' }, 5);
  assertExpected({ checksums: { sha1: 'A' } }, { sha1: 'A-2' }, 5);
  assert.throws(() => assertExpected({ sizeBytes: 6 }, {}, 5), { reason: 'wrong_size' });
  assert.throws(() => assertExpected({ checksums: { crc32: 'B' } }, { crc32: 'A' }, 5), { reason: 'wrong_checksum' });
  assert.throws(() => assertExpected({ checksums: { sha1: 'A' } }, { crc32: 'A' }, 5), { reason: 'wrong_checksum' });
});
