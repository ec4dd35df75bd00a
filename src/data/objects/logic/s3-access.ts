import type { Extent } from '#kernel/guard/guard.ts';
import type { OperationName } from '#s3/operation-names.ts';

/** True for operations that change nothing. */
export function isS3Read(operation: OperationName): boolean {
  return /^(Get|Head|List)/.test(operation);
}

/** Whoever may do these decides what others may, or what happens to everything in a bucket; or sees where it is told. */
const manages =
  /^(?:Put|Delete)(?:Bucket|PublicAccessBlock$|ObjectLockConfiguration$)|^PutObjectAcl$|^GetBucket(?:Acl|Policy|NotificationConfiguration)$/;

/**
 * What policies are asked about an S3 operation. A bucket is a datasource, or a folder of the datasource `bucketsOf`; a key is a path in it;
 * of a listing it is the folder listed. Making a bucket is asked of the datasource.
 */
export function s3Access(
  operation: OperationName,
  bucket: string | undefined,
  key: string | undefined,
  isDeep = false,
  bucketsOf?: string,
): { readonly action: string; readonly resource: string; readonly extent: Extent } {
  const isMaking = bucketsOf !== undefined && operation === 'CreateBucket';
  const path = isMaking ? bucketsOf : [bucketsOf, bucket, key && plainPath(key)].filter(Boolean).join('/');
  return {
    action: manages.test(operation) ? 'data:manage' : isS3Read(operation) ? 'data:read' : 'data:write',
    resource: path === '' ? 'data' : `data/${path}`,
    extent: isDeep ? 'with_all_below' : 'itself',
  };
}

/** A key as a path: names that mean other folders or nothing in a path, and are names like others in a key, are written so that they do not. */
const plainPath = (key: string): string => {
  const path = key.replace(/\/$/, '');
  if (!/(?:^|\/)\.{0,2}(?:\/|$)/.test(path)) return path;
  const plainName = (name: string): string => (name === '' ? '%2F' : /^\.\.?$/.test(name) ? name.replaceAll('.', '%2E') : name);
  return path.split('/').map(plainName).join('/');
};
