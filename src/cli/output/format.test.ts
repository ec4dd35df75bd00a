import assert from 'node:assert/strict';
import { test } from 'node:test';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { formatAge, formatBytes, formatCount, formatDuration, plural } from './format.ts';

test('sizes', () => {
  const cases: [number | bigint, string][] = [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1536, '1.5 KiB'],
    [10_188, '9.9 KiB'],
    [10_240, '10 KiB'],
    [1_048_064, '1.0 MiB'],
    [1_047_000, '1022 KiB'],
    [5n * 1024n ** 4n, '5.0 TiB'],
    [2n ** 64n - 1n, '16 EiB'],
  ];
  for (const [bytes, expected] of cases) assert.equal(formatBytes(bytes), expected);
});

test('counts and plurals', () => {
  assert.equal(formatCount(1_234_567n), '1,234,567');
  assert.equal(formatCount(12), '12');
  assert.equal(plural(1, 'file'), '1 file');
  assert.equal(plural(0n, 'file'), '0 files');
});

test('durations', () => {
  const cases: [number, string][] = [
    [450, '450 ms'],
    [1500, '1.5 s'],
    [59_600, '1 min'],
    [200_000, '3 min 20 s'],
    [7_500_000, '2 h 5 min'],
    [356_400_000, '4 d 3 h'],
  ];
  for (const [ms, expected] of cases) assert.equal(formatDuration(ms), expected);
});

test('ages', () => {
  const now = Date.UTC(2026, 10, 20);
  const cases: [number, string][] = [
    [0, 'just now'],
    [-30_000, '30 s ago'],
    [-5 * 60_000, '5 min ago'],
    [-7 * 3_600_000, '7 h ago'],
    [3 * 86_400_000, 'in 3 d'],
    [90 * 86_400_000, 'in 3 months'],
    [-900 * 86_400_000, '2 years ago'],
  ];
  for (const [offset, expected] of cases) assert.equal(formatAge(timestampFromMs(now + offset), now), expected);
  assert.equal(formatAge(undefined, now), 'never');
});
