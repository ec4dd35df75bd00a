import type { OperationName } from '#s3/operation-names.ts';

const reads: ReadonlySet<OperationName> = new Set([
  'ListBuckets',
  'HeadBucket',
  'GetBucketLocation',
  'GetBucketVersioning',
  'ListObjects',
  'ListObjectsV2',
  'ListMultipartUploads',
  'GetObject',
  'HeadObject',
  'ListParts',
]);

/** What policies are asked about an S3 operation. A bucket is a datasource, a key a path in it. */
export function s3Access(operation: OperationName, bucket: string | undefined, key: string | undefined) {
  const path = [bucket, key?.replace(/\/$/, '')].filter(Boolean).join('/');
  return { action: reads.has(operation) ? 'data:read' : 'data:write', resource: path === '' ? 'data' : `data/${path}` };
}
