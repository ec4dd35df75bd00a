import assert from 'node:assert/strict';
import { test } from 'node:test';
import { s3Access } from './s3-access.ts';

test('a key is asked about where it lies, and nowhere else', () => {
  for (const [key, resource] of [
    ['pub/a.txt', 'data/docs/pub/a.txt'],
    ['pub/', 'data/docs/pub'],
    ['pub', 'data/docs/pub'],
    // Empty names are names of a key, and policies pass them over.
    ['/pub/a.txt', 'data/docs/%2F/pub/a.txt'],
    ['pub//a.txt', 'data/docs/pub/%2F/a.txt'],
    ['//', 'data/docs/%2F/%2F'],
    ['pub/../priv', 'data/docs/pub/%2E%2E/priv'],
    ['./pub', 'data/docs/%2E/pub'],
    ['...', 'data/docs/...'],
    [undefined, 'data/docs'],
  ] as const)
    assert.equal(s3Access('GetObject', 'docs', key).resource, resource, key ?? '');
  assert.equal(s3Access('PutObject', 'made', 'a', false, 's3').resource, 'data/s3/made/a');
  assert.equal(s3Access('CreateBucket', 'made', undefined, false, 's3').resource, 'data/s3');
});
