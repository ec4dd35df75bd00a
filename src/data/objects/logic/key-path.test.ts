import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fault } from '#kernel/fault.ts';
import { parseKey } from './key-path.ts';

test('keys that have a place', () => {
  assert.deepEqual(parseKey('a'), { folders: [], name: 'a', isFolder: false });
  assert.deepEqual(parseKey('a/b c/ü.txt'), { folders: ['a', 'b c'], name: 'ü.txt', isFolder: false });
  assert.deepEqual(parseKey('a/b/'), { folders: ['a'], name: 'b', isFolder: true });
  assert.deepEqual(parseKey('...'), { folders: [], name: '...', isFolder: false });
  assert.deepEqual(parseKey('a\u241bFF'), { folders: [], name: 'a\u241bFF', isFolder: false });
  assert.deepEqual(parseKey('a/.cellar'), { folders: ['a'], name: '.cellar', isFolder: false });
});

const refused: readonly (readonly [key: string, reason: string])[] = [
  ['', 'invalid_key'],
  ['/', 'invalid_key'],
  ['/a', 'invalid_key'],
  ['a//b', 'invalid_key'],
  ['a//', 'invalid_key'],
  ['.', 'invalid_key'],
  ['a/./b', 'invalid_key'],
  ['../a', 'invalid_key'],
  ['a/..', 'invalid_key'],
  ['a\0b', 'invalid_key'],
  ['a/\ud800', 'invalid_key'],
  ['.cellar', 'invalid_key'],
  ['.cellar/', 'invalid_key'],
  ['.cellar/tmp/x', 'invalid_key'],
  [`a/${'ü'.repeat(128)}`, 'invalid_key'],
  ['a\u241bC3\u241bA9', 'invalid_key'],
  ['ü'.repeat(513), 'key_too_long'],
];
for (const [key, reason] of refused) {
  test(`${JSON.stringify(key).slice(0, 30)} is refused`, () => {
    assert.throws(
      () => parseKey(key),
      (error) => error instanceof Fault && error.reason === reason,
    );
  });
}
