import { S3Error } from './errors.ts';
import type { OperationName } from './operation-names.ts';

/** Which resource a request is about; `key` is empty for a bucket, both are for the service. */
export interface Target {
  readonly bucket: string;
  readonly key: string;
}

/**
 * Finds the resource of a request from its decoded path, or from its host when that is `<bucket>.<baseDomain>`.
 * Shape: `/`, `/bucket`, `/bucket/` or `/bucket/any/key`.
 */
export function parseTarget(path: string, host: string | undefined, baseDomain: string | undefined): Target {
  const hostName = host?.replace(/:\d+$/, '').toLowerCase();
  if (baseDomain && hostName?.endsWith(`.${baseDomain}`)) {
    return { bucket: hostName.slice(0, -baseDomain.length - 1), key: path.slice(1) };
  }
  const end = path.indexOf('/', 1);
  return end < 0 ? { bucket: path.slice(1), key: '' } : { bucket: path.slice(1, end), key: path.slice(end + 1) };
}

/** Query words that name a part of a bucket or object which we do not have. */
const unsupported = new Set(
  (
    'accelerate acl analytics attributes cors encryption intelligent-tiering inventory legal-hold lifecycle logging metadataTable metrics ' +
    'notification object-lock ownershipControls partNumber policy policyStatus publicAccessBlock replication requestPayment restore ' +
    'retention select session tagging torrent versions website'
  ).split(' '),
);

type Routes = Readonly<Record<string, OperationName>>;

/** Operations by method and the query word that selects them; the empty word when none does. */
const serviceRoutes: Routes = { 'GET ': 'ListBuckets' };
const bucketRoutes: Routes = {
  'GET location': 'GetBucketLocation',
  'GET versioning': 'GetBucketVersioning',
  'GET uploads': 'ListMultipartUploads',
  'GET list-type': 'ListObjectsV2',
  'GET ': 'ListObjects',
  'HEAD ': 'HeadBucket',
  'PUT ': 'CreateBucket',
  'DELETE ': 'DeleteBucket',
  'POST delete': 'DeleteObjects',
};
const objectRoutes: Routes = {
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
const selectors = ['location', 'versioning', 'uploads', 'list-type', 'delete', 'uploadId'];

/** Which operation a request asks for. Errors: `NotImplemented` for parts of S3 we do not have, `MethodNotAllowed` for the rest. */
export function routeOperation(
  method: string,
  target: Target,
  query: ReadonlyMap<string, string>,
  isCopy: boolean,
): OperationName {
  const routes = target.bucket === '' ? serviceRoutes : target.key === '' ? bucketRoutes : objectRoutes;
  for (const word of query.keys()) {
    if (!unsupported.has(word) || (word === 'partNumber' && query.has('uploadId'))) continue;
    throw new S3Error('NotImplemented', `"${word}" is not implemented`, { fields: { Header: word } });
  }
  const versionId = query.get('versionId') ?? 'null';
  if (versionId !== 'null')
    throw new S3Error('NotImplemented', 'Versions are not implemented', { fields: { Header: 'versionId' } });
  const selector = selectors.find((word) => query.has(word) && routes[`${method} ${word}`] !== undefined) ?? '';
  const operation = routes[`${method} ${selector}`];
  if (selector === '' && method === 'PUT' && query.has('versioning'))
    throw new S3Error('NotImplemented', 'Versioning is not implemented');
  if (operation === undefined && method === 'POST' && target.bucket !== '') {
    throw new S3Error('NotImplemented', 'Uploading by browser form is not implemented');
  }
  if (operation === undefined) throw new S3Error('MethodNotAllowed');
  if (isCopy && operation === 'PutObject') return 'CopyObject';
  return isCopy && operation === 'UploadPart' ? 'UploadPartCopy' : operation;
}
