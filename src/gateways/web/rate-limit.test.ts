import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRateLimit } from './rate-limit.ts';

test('each spends what it has, and gets it back with time', () => {
  let nowMs = 0;
  const limit = createRateLimit({ burst: 10, perSecond: 2, now: () => nowMs });
  limit.spend('a', 9);
  assert.equal(limit.waitMs('a'), 0);
  limit.spend('a', 1);
  assert.deepEqual([limit.waitMs('a'), limit.waitMs('b')], [500, 0]);
  nowMs += 500;
  assert.equal(limit.waitMs('a'), 0);
  limit.spend('a', 50);
  assert.equal(limit.waitMs('a'), 25_000);
  nowMs += 100_000;
  limit.spend('a', 9);
  assert.equal(limit.waitMs('a'), 0);
});
