import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isPrivate } from './private-path.ts';

for (const [path, inFolder, inBuckets] of [
  ['', false, false],
  ['.cellar', true, true],
  ['.cellar/tmp/x', true, true],
  ['.cellars', false, false],
  ['a/.cellar', false, true],
  ['a/.cellar/keys', false, true],
  ['a/.cellar2', false, false],
  ['a/b/.cellar', false, false],
] as const)
  test(`${path} is ${inFolder ? '' : 'no '}part of a folder of ours, and ${inBuckets ? '' : 'no '}part where folders are buckets`, () => {
    assert.equal(isPrivate(path, 'folder'), inFolder);
    assert.equal(isPrivate(path, 'buckets'), inBuckets);
  });
