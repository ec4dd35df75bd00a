import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isoTime } from './iso-time.ts';

const dayMs = 86_400_000;
const dayMax = 100_000_000;
const inDay = fc.oneof(fc.integer({ min: 0, max: dayMs - 1 }), fc.constantFrom(0, 999, 1_000, dayMs - 1));

test('writes every time as a date does', () => {
  const day = fc.oneof(fc.integer({ min: -dayMax, max: dayMax - 1 }), fc.integer({ min: -2, max: 2 }));
  fc.assert(
    fc.property(day, fc.array(inDay, { minLength: 1 }), (days, times) => {
      for (const time of times) assert.equal(isoTime(days * dayMs + time), new Date(days * dayMs + time).toISOString());
    }),
  );
  for (const timeMs of [0.5, -0.5, -1.5, 1_700_000_000_000.9, 8.64e15, -8.64e15])
    assert.equal(isoTime(timeMs), new Date(timeMs).toISOString());
});

test('what is no time is refused', () => {
  for (const timeMs of [Number.NaN, Number.POSITIVE_INFINITY, 9e15]) assert.throws(() => isoTime(timeMs), RangeError);
});
