import { S3Error } from './errors.ts';
import type { OperationName } from './operation-names.ts';

/** Which resource a request is about; `key` is empty for a bucket, both are for the service. */
export interface Target {
  readonly bucket: string;
  readonly key: string;
}

/**
 * Finds the resource of a request from its decoded path, or from its host when that is `<bucket>.<baseDomain>`.
 * Shape: `/`, `/bucket`, `/bucket/` or `/bucket/any/key`; `:bucket`, as clients of servers with tenants write one of no tenant, is `bucket`.
 */
export function parseTarget(path: string, host: string | undefined, baseDomain: string | undefined): Target {
  const hostName = host?.replace(/:\d+$/, '').toLowerCase();
  if (baseDomain && hostName?.endsWith(`.${baseDomain}`)) {
    return { bucket: hostName.slice(0, -baseDomain.length - 1), key: path.slice(1) };
  }
  const start = path.startsWith('/:') ? 2 : 1;
  const end = path.indexOf('/', start);
  return end < 0 ? { bucket: path.slice(start), key: '' } : { bucket: path.slice(start, end), key: path.slice(end + 1) };
}

/** Query words that name a part of a bucket or object which we do not have. */
const unsupported = new Set(
  'analytics intelligent-tiering inventory metadataTable metrics publish renameObject restore select session'.split(' '),
);

type Routes = Readonly<Record<string, OperationName>>;

/** Operations by method and the query word that selects them; the empty word when none does. */
const serviceRoutes: Routes = { 'GET ': 'ListBuckets' };
const bucketRoutes: Routes = {
  'GET accelerate': 'GetBucketAccelerateConfiguration',
  'GET acl': 'GetBucketAcl',
  'PUT acl': 'PutBucketAcl',
  'GET cors': 'GetBucketCors',
  'PUT cors': 'PutBucketCors',
  'DELETE cors': 'DeleteBucketCors',
  'GET encryption': 'GetBucketEncryption',
  'PUT encryption': 'PutBucketEncryption',
  'DELETE encryption': 'DeleteBucketEncryption',
  'GET lifecycle': 'GetBucketLifecycleConfiguration',
  'PUT lifecycle': 'PutBucketLifecycleConfiguration',
  'DELETE lifecycle': 'DeleteBucketLifecycle',
  'GET location': 'GetBucketLocation',
  'GET logging': 'GetBucketLogging',
  'GET notification': 'GetBucketNotificationConfiguration',
  'PUT notification': 'PutBucketNotificationConfiguration',
  'GET object-lock': 'GetObjectLockConfiguration',
  'PUT object-lock': 'PutObjectLockConfiguration',
  'GET ownershipControls': 'GetBucketOwnershipControls',
  'PUT ownershipControls': 'PutBucketOwnershipControls',
  'DELETE ownershipControls': 'DeleteBucketOwnershipControls',
  'GET policy': 'GetBucketPolicy',
  'PUT policy': 'PutBucketPolicy',
  'DELETE policy': 'DeleteBucketPolicy',
  'GET policyStatus': 'GetBucketPolicyStatus',
  'GET publicAccessBlock': 'GetPublicAccessBlock',
  'PUT publicAccessBlock': 'PutPublicAccessBlock',
  'DELETE publicAccessBlock': 'DeletePublicAccessBlock',
  'GET replication': 'GetBucketReplication',
  'GET requestPayment': 'GetBucketRequestPayment',
  'PUT requestPayment': 'PutBucketRequestPayment',
  'GET tagging': 'GetBucketTagging',
  'PUT tagging': 'PutBucketTagging',
  'DELETE tagging': 'DeleteBucketTagging',
  'GET uploads': 'ListMultipartUploads',
  'GET versioning': 'GetBucketVersioning',
  'PUT versioning': 'PutBucketVersioning',
  'GET versions': 'ListObjectVersions',
  'GET website': 'GetBucketWebsite',
  'GET list-type': 'ListObjectsV2',
  'GET ': 'ListObjects',
  'HEAD ': 'HeadBucket',
  'PUT ': 'CreateBucket',
  'DELETE ': 'DeleteBucket',
  'POST delete': 'DeleteObjects',
  'POST ': 'PostObject',
};
const objectRoutes: Routes = {
  'GET acl': 'GetObjectAcl',
  'PUT acl': 'PutObjectAcl',
  'GET attributes': 'GetObjectAttributes',
  'GET legal-hold': 'GetObjectLegalHold',
  'PUT legal-hold': 'PutObjectLegalHold',
  'GET retention': 'GetObjectRetention',
  'PUT retention': 'PutObjectRetention',
  'GET tagging': 'GetObjectTagging',
  'PUT tagging': 'PutObjectTagging',
  'DELETE tagging': 'DeleteObjectTagging',
  'GET uploadId': 'ListParts',
  'GET ': 'GetObject',
  'HEAD ': 'HeadObject',
  'PUT uploadId': 'UploadPart',
  'PUT ': 'PutObject',
  'POST uploads': 'CreateMultipartUpload',
  'POST uploadId': 'CompleteMultipartUpload',
  'DELETE uploadId': 'AbortMultipartUpload',
  'DELETE ': 'DeleteObject',
};

/** Words that choose among the operations of a method; of others a request may have as many as it likes. */
const selectors = new Set(
  [...Object.keys(bucketRoutes), ...Object.keys(objectRoutes)].map((route) => route.split(' ')[1]!).filter((word) => word !== ''),
);

/** Which operation a request asks for. Errors: `NotImplemented` for parts of S3 we do not have, `MethodNotAllowed` for the rest. */
export function routeOperation(
  method: string,
  target: Target,
  query: ReadonlyMap<string, string>,
  isCopy: boolean,
): OperationName {
  const routes = target.bucket === '' ? serviceRoutes : target.key === '' ? bucketRoutes : objectRoutes;
  let selector = '';
  for (const word of query.keys()) {
    if (unsupported.has(word)) throw notImplemented(word);
    if (word === 'torrent') throw new S3Error('NoSuchKey', 'There is no torrent of this object: torrents are not made');
    if (selector === '' && selectors.has(word)) selector = word;
  }
  const operation = routes[`${method} ${selector}`];
  if (operation === undefined) {
    const isKnown = selector !== '' && target.bucket !== '' && knownMethods.has(method);
    throw isKnown ? notImplemented(selector, method) : new S3Error('MethodNotAllowed');
  }
  if (isCopy && operation === 'PutObject') return 'CopyObject';
  return isCopy && operation === 'UploadPart' ? 'UploadPartCopy' : operation;
}

const knownMethods = new Set(['GET', 'PUT', 'POST', 'DELETE']);

const notImplemented = (word: string, method?: string): S3Error =>
  new S3Error('NotImplemented', `${method ? `${method} of ` : ''}"${word}" is not implemented`, { fields: { Header: word } });
