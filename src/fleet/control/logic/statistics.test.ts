import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { UsagePiece } from '../store/figures.ts';
import { downsample, summary } from './statistics.ts';

const piece = (atMs: number, used: number, samples = 1): UsagePiece => ({
  ...{ atMs, samples, used, free: 0, clusters: 10, capacity: 10, waiting: 0 },
});

test('shares of durations', () => {
  const cases: [seconds: number[], p50: number, p90: number, p95: number, max: number][] = [
    [[], 0, 0, 0, 0],
    [[3], 3, 3, 3, 3],
    [[2, 1], 1, 2, 2, 2],
    [Array.from({ length: 100 }, (_, at) => at + 1), 50, 90, 95, 100],
  ];
  for (const [seconds, p50, p90, p95, max] of cases)
    assert.deepEqual(summary(seconds), { count: BigInt(seconds.length), p50, p90, p95, max });
});

test('pieces that are joined weigh as much as was measured in them', () => {
  const { stepMs, points } = downsample([piece(0, 1, 3), piece(60_000, 5, 1), piece(240_000, 7)], 60_000, 200 * 60_000);
  assert.equal(stepMs, 120_000);
  assert.deepEqual(
    points.map(({ atMs, used, samples }) => [atMs, used, samples]),
    [
      [0, 2, 4],
      [240_000, 7, 1],
    ],
  );
});

test('there are a hundred points at most and some more for the edges, in order, none outside of what was measured', () => {
  const minutes = fc.uniqueArray(fc.nat(1439), { maxLength: 500 }).map((at) => at.toSorted((a, b) => a - b));
  fc.assert(
    fc.property(minutes, fc.array(fc.nat(10), { minLength: 500, maxLength: 500 }), (at, used) => {
      const pieces = at.map((minute, index) => piece(minute * 60_000, used[index] ?? 0));
      const { points, stepMs } = downsample(pieces, 60_000, 86_400_000);
      assert.ok(points.length <= 101);
      points.forEach((point, index) => {
        assert.equal(point.atMs % stepMs, 0);
        assert.ok(index === 0 || point.atMs > (points[index - 1]?.atMs ?? 0));
        assert.ok(point.used >= 0 && point.used <= 10);
      });
      assert.equal(
        points.reduce((sum, { samples }) => sum + samples, 0),
        pieces.length,
      );
    }),
  );
});
