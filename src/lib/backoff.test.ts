import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffMs } from './backoff.ts';

test('backoff doubles, is capped, and half of it is random', () => {
  const backoff = { firstMs: 100, maxMs: 1000 };
  const range = (attempt: number): number[] => [backoffMs(backoff, attempt, () => 0), backoffMs(backoff, attempt, () => 1)];
  assert.deepEqual([1, 2, 3, 4, 5, 1000].map(range), [
    [50, 100],
    [100, 200],
    [200, 400],
    [400, 800],
    [500, 1000],
    [500, 1000],
  ]);
});
