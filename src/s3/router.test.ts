import assert from 'node:assert/strict';
import { test } from 'node:test';
import { S3Error } from './errors.ts';
import { parseTarget, routeOperation } from './router.ts';

const targets: readonly (readonly [path: string, host: string, bucket: string, key: string])[] = [
  ['/', 'h', '', ''],
  ['/b', 'h', 'b', ''],
  ['/b/', 'h', 'b', ''],
  ['/b/a/b', 'h', 'b', 'a/b'],
  ['/:b', 'h', 'b', ''],
  ['/:b/:a', 'h', 'b', ':a'],
  ['/b//a/', 'h', 'b', '/a/'],
  ['/a/b', 'b.s3.example.org:8080', 'b', 'a/b'],
  ['/', 'b.S3.example.org', 'b', ''],
  ['/b/k', 's3.example.org', 'b', 'k'],
];
for (const [path, host, bucket, key] of targets) {
  test(`${host} ${path}`, () => assert.deepEqual(parseTarget(path, host, 's3.example.org'), { bucket, key }));
}

const routes: readonly (readonly [method: string, path: string, query: string, isCopy: boolean, expected: string])[] = [
  ['GET', '/', '', false, 'ListBuckets'],
  ['POST', '/', '', false, 'MethodNotAllowed'],
  ['GET', '/b', '', false, 'ListObjects'],
  ['GET', '/b', 'list-type=2', false, 'ListObjectsV2'],
  ['GET', '/b', 'uploads', false, 'ListMultipartUploads'],
  ['GET', '/b', 'versions', false, 'ListObjectVersions'],
  ['POST', '/b', 'delete', false, 'DeleteObjects'],
  ['POST', '/b', '', false, 'PostObject'],
  ['PUT', '/b', 'versioning', false, 'PutBucketVersioning'],
  ['PUT', '/b', 'policy', false, 'PutBucketPolicy'],
  ['PUT', '/b', 'logging', false, 'NotImplemented'],
  ['GET', '/b', 'inventory', false, 'NotImplemented'],
  ['GET', '/b/k', '', false, 'GetObject'],
  ['GET', '/b/k', 'partNumber=1', false, 'GetObject'],
  ['GET', '/b/k', 'versionId=null', false, 'GetObject'],
  ['GET', '/b/k', 'versionId=3', false, 'GetObject'],
  ['GET', '/b/k', 'versionId=3&tagging', false, 'GetObjectTagging'],
  ['POST', '/b/k', 'restore', false, 'NotImplemented'],
  ['GET', '/b/k', 'x-id=GetObject', false, 'GetObject'],
  ['PUT', '/b/k', '', false, 'PutObject'],
  ['PUT', '/b/k', '', true, 'CopyObject'],
  ['PUT', '/b/k', 'partNumber=1&uploadId=x', false, 'UploadPart'],
  ['PUT', '/b/k', 'partNumber=1&uploadId=x', true, 'UploadPartCopy'],
  ['PUT', '/b/k', 'tagging', false, 'PutObjectTagging'],
  ['POST', '/b/k', 'uploads', false, 'CreateMultipartUpload'],
  ['POST', '/b/k', 'uploadId=x', false, 'CompleteMultipartUpload'],
  ['DELETE', '/b/k', 'uploadId=x', false, 'AbortMultipartUpload'],
  ['DELETE', '/b/k', '', false, 'DeleteObject'],
  ['OPTIONS', '/b/k', '', false, 'MethodNotAllowed'],
];
for (const [method, path, query, isCopy, expected] of routes) {
  test(`${method} ${path}?${query}${isCopy ? ' with a source' : ''}`, () => {
    const route = (): string =>
      routeOperation(method, parseTarget(path, 'h', undefined), new Map(new URLSearchParams(query)), isCopy);
    let found: string;
    try {
      found = route();
    } catch (error) {
      assert.ok(error instanceof S3Error);
      found = error.code;
    }
    assert.equal(found, expected);
  });
}
