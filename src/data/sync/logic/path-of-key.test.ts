import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pathOfKey } from './path-of-key.ts';

for (const [key, inFolder, inBuckets] of [
  ['a/b', 'a/b', 'docs/a/b'],
  ['a/', 'a', 'docs/a'],
  ['', '', 'docs'],
  ['a//b', undefined, undefined],
  ['/', '', undefined],
  ['//', undefined, undefined],
  ['../x', undefined, undefined],
  ['a/./b', undefined, undefined],
  ['a\0', undefined, undefined],
  ['x'.repeat(5000), undefined, undefined],
  ['a␛FF', 'a␛FF', 'docs/a␛FF'],
  ['a␛C3␛A9', undefined, undefined],
] as const)
  test(`the path of key ${JSON.stringify(key.slice(0, 20))}`, () => {
    assert.equal(pathOfKey('docs', key, {}), inFolder);
    assert.equal(pathOfKey('docs', key, { kind: 'buckets' }), inBuckets);
  });
