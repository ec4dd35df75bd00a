import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { labelMax, labelsBetween } from './sparse-labels.ts';

test('labels lie strictly between their neighbours, in order', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 30), fc.nat(2 ** 30), fc.integer({ min: 1, max: 1000 }), (low, gap, count) => {
      const high = low + gap;
      const run = labelsBetween(low, high, count);
      if (!run) return assert.ok(high - low - 1 < count);
      assert.ok(run.first > low && run.step >= 1 && run.first + run.step * (count - 1) < high);
    }),
  );
});

test('ninety insertions fit at one place of the usual distance', () => {
  let low = 0;
  for (let count = 0; count < 90; count++) {
    const run = labelsBetween(low, 2 ** 20, 1);
    assert.ok(run, `after ${count}`);
    low = run.first;
  }
  assert.equal(labelsBetween(labelMax - 1, labelMax, 1), undefined);
});
