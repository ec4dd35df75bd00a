import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namePattern } from './name-pattern.ts';

for (const [pattern, name, expected] of [
  ['', '', true],
  ['', 'a', false],
  ['*', '', true],
  ['*', 'anything.txt', true],
  ['*.txt', 'a.txt', true],
  ['*.txt', 'a.txt.gz', false],
  ['*.txt', 'txt', false],
  ['a*b*c', 'aXbYbZc', true],
  ['a*b*c', 'aXcYb', false],
  ['IMG_????.jpg', 'IMG_0042.jpg', true],
  ['IMG_????.jpg', 'IMG_042.jpg', false],
  ['?', '\u{1f600}', true],
  ['[a-c]1', 'b1', true],
  ['[a-c]1', 'd1', false],
  ['[!a-c]1', 'd1', true],
  ['[!a-c]1', 'a1', false],
  ['[]]', ']', true],
  ['[a-]', '-', true],
  ['[ab', '[ab', true],
  ['\\*', '*', true],
  ['\\*', 'a', false],
  ['a\\', 'a\\', true],
  ['A*', 'abc', false],
] as const)
  test(`${JSON.stringify(pattern)} ${expected ? 'fits' : 'does not fit'} ${JSON.stringify(name)}`, () => {
    assert.equal(namePattern(pattern)(name), expected);
  });

test('capital and small letters can be the same', () => {
  assert.ok(namePattern('*.JPG', { ignoreCase: true })('Photo.jpg'));
});

test('a pattern of many stars ends', () => {
  assert.equal(namePattern(`${'*a'.repeat(500)}b`)('a'.repeat(5000)), false);
});
