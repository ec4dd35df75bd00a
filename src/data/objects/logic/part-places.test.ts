import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredPart } from './part-files.ts';
import { PartPlaces } from './part-places.ts';

const part = (partNumber: number, isPlaced = true): StoredPart => ({
  ...{ partNumber, isPlaced, fileName: '', etag: '', sizeBytes: 10, mtimeMs: 0, checksums: {} },
});
const sized = (...parts: readonly (readonly [number, boolean, number])[]) =>
  parts.map(([partNumber, isPlaced, sizeBytes]) => ({ part: part(partNumber, isPlaced), sizeBytes }));

test('the first part says the size; others get their places when they fit', () => {
  const places = new PartPlaces(undefined, []);
  assert.equal(places.claim(1, undefined), undefined);
  assert.deepEqual(places.claim(3, 10), { strideBytes: 10, position: 20 });
  assert.deepEqual(places.claim(1, 10), { strideBytes: 10, position: 0 });
  assert.deepEqual(places.claim(4, 4), { strideBytes: 10, position: 30 });
  assert.equal(places.claim(5, 11), undefined);
  assert.equal(places.claim(21, 10), undefined);
  assert.ok(places.claim(20, 10));
});

test('a place is given once: not while it is written, not while it holds a part', () => {
  const places = new PartPlaces(undefined, []);
  assert.ok(places.claim(1, 10));
  assert.equal(places.claim(1, 10), undefined);
  places.release(1);
  assert.ok(places.claim(1, 10));
  places.keep(1, true);
  places.release(1);
  assert.equal(places.claim(1, 10), undefined);
  places.keep(1, false);
  assert.ok(places.claim(1, 10));
});

test('what is there after a restart counts', () => {
  const places = new PartPlaces(10, [part(1), part(2, false)]);
  assert.equal(places.claim(1, 10), undefined);
  assert.equal(places.claim(3, 11), undefined);
  assert.deepEqual(places.claim(2, 10), { strideBytes: 10, position: 10 });
});

test('it closes only when nobody writes', () => {
  const places = new PartPlaces(undefined, []);
  places.claim(1, 10);
  assert.equal(places.close(), false);
  places.release(1);
  assert.equal(places.close(), true);
  assert.equal(places.claim(2, 10), undefined);
  places.open();
  assert.ok(places.claim(2, 10));
});

for (const [what, placed, chosen, expected] of [
  ['all are at their places', [1, 2, 3], sized([1, true, 10], [2, true, 10], [3, true, 4]), true],
  ['one in the middle has a file of its own', [1, 3], sized([1, true, 10], [2, false, 10], [3, true, 4]), true],
  ['the last is larger', [1, 2], sized([1, true, 10], [2, true, 10], [3, false, 40]), true],
  ['none is at its place', [], sized([1, false, 10], [2, false, 10]), false],
  ['one is missing', [1, 3], sized([1, true, 10], [3, true, 10]), false],
  ['one in the middle is shorter', [1, 2, 3], sized([1, true, 10], [2, true, 4], [3, true, 10]), false],
  ['one that is placed is not wanted, but may be the next time', [1, 2, 3], sized([1, true, 10], [2, true, 10]), false],
] as const)
  test(`the whole: ${what}`, () => {
    const places = new PartPlaces(
      10,
      placed.map((partNumber) => part(partNumber)),
    );
    assert.equal(places.isWhole(chosen), expected);
  });
