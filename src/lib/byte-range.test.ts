import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRange, rangeSizeBytes } from './byte-range.ts';

const cases: readonly (readonly [header: string | undefined, sizeBytes: number, expected: ReturnType<typeof parseRange>])[] = [
  [undefined, 10, undefined],
  ['bytes=0-0', 10, { first: 0, last: 0 }],
  ['bytes=0-', 10, { first: 0, last: 9 }],
  ['bytes=3-100', 10, { first: 3, last: 9 }],
  ['bytes=9-9', 10, { first: 9, last: 9 }],
  ['bytes=-3', 10, { first: 7, last: 9 }],
  ['bytes=-100', 10, { first: 0, last: 9 }],
  ['bytes=-0', 10, 'unsatisfiable'],
  ['bytes=10-', 10, 'unsatisfiable'],
  ['bytes=0-', 0, 'unsatisfiable'],
  ['bytes=-1', 0, 'unsatisfiable'],
  ['bytes=5-3', 10, undefined],
  ['bytes=-', 10, undefined],
  ['bytes=a-b', 10, undefined],
  ['bytes=0-1,2-3', 10, undefined],
  ['items=0-1', 10, undefined],
];

for (const [header, sizeBytes, expected] of cases) {
  test(`${header} of ${sizeBytes} bytes`, () => assert.deepEqual(parseRange(header, sizeBytes), expected));
}

test('both ends are included', () => assert.equal(rangeSizeBytes({ first: 2, last: 4 }), 3));
