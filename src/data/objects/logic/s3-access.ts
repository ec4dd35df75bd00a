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

/**
 * What policies are asked about an S3 operation. A bucket is a datasource, or a folder of the datasource `bucketsOf`; a key is a path in it;
 * of a listing it is the folder listed. Making and deleting buckets is asked of the datasource.
 */
export function s3Access(
  operation: OperationName,
  bucket: string | undefined,
  key: string | undefined,
  isDeep = false,
  bucketsOf?: string,
): { readonly action: string; readonly resource: string; readonly extent: Extent } {
  const isAboutBuckets = bucketsOf !== undefined && (operation === 'CreateBucket' || operation === 'DeleteBucket');
  const path = isAboutBuckets ? bucketsOf : [bucketsOf, bucket, key?.replace(/\/$/, '')].filter(Boolean).join('/');
  return {
    action: isS3Read(operation) ? 'data:read' : 'data:write',
    resource: path === '' ? 'data' : `data/${path}`,
    extent: isDeep ? 'with_all_below' : 'itself',
  };
}
