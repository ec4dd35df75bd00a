import type { Extent } from '#kernel/guard/guard.ts';
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

/** True for operations that change nothing. */
export function isS3Read(operation: OperationName): boolean {
  return reads.has(operation);
}

/** What policies are asked about an S3 operation. A bucket is a datasource, a key a path in it; of a listing it is the folder listed. */
export function s3Access(
  operation: OperationName,
  bucket: string | undefined,
  key: string | undefined,
  isDeep = false,
): { readonly action: string; readonly resource: string; readonly extent: Extent } {
  const path = [bucket, key?.replace(/\/$/, '')].filter(Boolean).join('/');
  return {
    action: isS3Read(operation) ? 'data:read' : 'data:write',
    resource: path === '' ? 'data' : `data/${path}`,
    extent: isDeep ? 'with_all_below' : 'itself',
  };
}
