import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTooMany } from './delete-limits.ts';

for (const [nodes, total, expected] of [
  [0, 0, false],
  [10, 10, false],
  [11, 11, true],
  [50, 100, false],
  [51, 100, true],
  [51, 1000, false],
  [501, 1000, true],
] as const)
  test(`${nodes} of ${total} gone is ${expected ? '' : 'not '}too many above 10 and half`, () => {
    assert.equal(isTooMany({ askAboveDeletes: 10, askAbovePercent: 50 }, nodes, total), expected);
  });
