import assert from 'node:assert/strict';
import { test } from 'node:test';
import { median, quantile } from './report.ts';

test('medians and quantiles', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(quantile([10, 20, 30], 0.25), 15);
  assert.equal(quantile([10, 20, 30], 1), 30);
  assert.throws(() => median([]), RangeError);
});
