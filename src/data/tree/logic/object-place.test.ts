import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filePlace, objectPlace } from './object-place.ts';

const folder = { name: 'docs', hasBuckets: false };
const buckets = { name: 's3', hasBuckets: true };

for (const [datasource, path, bucket, key] of [
  [folder, 'a', 'docs', 'a'],
  [folder, 'a/b', 'docs', 'a/b'],
  [buckets, 'a', 'a', ''],
  [buckets, 'a/b', 'a', 'b'],
  [buckets, 'a/b/c', 'a', 'b/c'],
] as const) {
  test(`${path} of ${datasource.name} is ${key || 'all'} of ${bucket}`, () => {
    assert.deepEqual(objectPlace(datasource, path), { bucket, key });
  });
}

test('a file lies in a bucket, not beside buckets', () => {
  assert.throws(() => filePlace(buckets, 'a'), { reason: 'file_beside_buckets' });
  assert.deepEqual(filePlace(buckets, 'a/b'), { bucket: 'a', key: 'b' });
  assert.deepEqual(filePlace(folder, 'a'), { bucket: 'docs', key: 'a' });
});
