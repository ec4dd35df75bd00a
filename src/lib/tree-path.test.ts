import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commonFolder, inFolder, isWithin, nameOf, parentOf } from './tree-path.ts';

for (const [path, parent, name] of [
  ['', '', ''],
  ['a', '', 'a'],
  ['a/b', 'a', 'b'],
  ['a/b/c.txt', 'a/b', 'c.txt'],
] as const)
  test(`${JSON.stringify(path)} is ${JSON.stringify(name)} in ${JSON.stringify(parent)}`, () => {
    assert.deepEqual([parentOf(path), nameOf(path)], [parent, name]);
  });

for (const [path, folder, expected] of [
  ['', '', true],
  ['a', '', true],
  ['a', 'a', true],
  ['a/b', 'a', true],
  ['ab', 'a', false],
  ['a', 'a/b', false],
  ['', 'a', false],
] as const)
  test(`${JSON.stringify(path)} is ${expected ? '' : 'not '}within ${JSON.stringify(folder)}`, () => {
    assert.equal(isWithin(path, folder), expected);
  });

test('a name in a folder', () => {
  assert.deepEqual([inFolder('', 'a'), inFolder('a/b', 'c')], ['a', 'a/b/c']);
});

for (const [paths, expected] of [
  [[], ''],
  [['a'], ''],
  [['a/b'], 'a'],
  [['a/b/c', 'a/b/d'], 'a/b'],
  [['a/b/c', 'a/bc'], 'a'],
  [['a/b', 'a/b/c'], 'a'],
  [['a/b', 'c/b'], ''],
] as const)
  test(`${JSON.stringify(paths)} lie in ${JSON.stringify(expected)}`, () => assert.equal(commonFolder(paths), expected));
