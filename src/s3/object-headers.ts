import { type ChecksumAlgorithm, checksumAlgorithms } from '#lib/checksum.ts';
import { type Conditions, decideRead, decideWrite } from '#lib/http-conditions.ts';
import { formatHttpDate, parseHttpDate } from '#lib/http-date.ts';
import type { Checksums, ListedObject, ObjectHeaders, ObjectInfo, WriteCondition } from './backend.ts';
import type { S3Call } from './call.ts';
import { S3Error } from './errors.ts';

const names = {
  contentType: 'content-type',
  cacheControl: 'cache-control',
  contentDisposition: 'content-disposition',
  contentEncoding: 'content-encoding',
  contentLanguage: 'content-language',
  expires: 'expires',
} as const satisfies Partial<Record<keyof ObjectHeaders, string>>;

const metaPrefix = 'x-amz-meta-';

/** What a write says about the object. Errors: `MetadataTooLarge`, and `NotImplemented` for headers whose promise we could not keep. */
export function readObjectHeaders({ headers, limits }: S3Call): ObjectHeaders {
  refuseUnsupported(headers);
  const plain = Object.entries(names).flatMap(([field, name]) => {
    const value = name === 'content-encoding' ? withoutAwsChunked(headers.get(name)) : headers.get(name);
    return value ? [[field, value] as const] : [];
  });
  const user = [...headers].flatMap(([name, value]) =>
    name.startsWith(metaPrefix) ? [[name.slice(metaPrefix.length), value] as const] : [],
  );
  if (user.reduce((sum, [name, value]) => sum + name.length + value.length, 0) > limits.userMetadataSizeBytesMax) {
    throw new S3Error('MetadataTooLarge');
  }
  return { ...Object.fromEntries(plain), ...(user.length > 0 ? { userMetadata: Object.fromEntries(user) } : {}) };
}

/** `aws-chunked` describes the transfer, not the object. */
function withoutAwsChunked(encoding: string | undefined): string | undefined {
  const rest = encoding
    ?.split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '' && word !== 'aws-chunked');
  return rest?.join(', ');
}

const unsupportedPrefixes = [
  'x-amz-server-side-encryption',
  'x-amz-object-lock-',
  'x-amz-tagging',
  'x-amz-website-redirect-location',
  'x-amz-grant-',
];
const privateAcls = new Set(['private', 'bucket-owner-full-control', 'bucket-owner-read']);

function refuseUnsupported(headers: ReadonlyMap<string, string>): void {
  for (const name of headers.keys()) {
    if (unsupportedPrefixes.some((prefix) => name.startsWith(prefix)) && name !== 'x-amz-tagging-directive') {
      throw new S3Error('NotImplemented', `${name} is not implemented`, { fields: { Header: name } });
    }
  }
  const acl = headers.get('x-amz-acl');
  if (acl && !privateAcls.has(acl))
    throw new S3Error('NotImplemented', 'Only the ACL "private" is implemented', { fields: { Header: 'x-amz-acl' } });
  const storageClass = headers.get('x-amz-storage-class');
  if (storageClass && storageClass !== 'STANDARD') throw new S3Error('InvalidStorageClass', 'The only storage class is STANDARD');
}

/** The headers of GET and HEAD that describe the object. */
export function describeObject(info: ObjectInfo, call: S3Call): Record<string, string | undefined> {
  const described = Object.entries(names).map(([field, name]) => [name, info.headers[field as keyof typeof names]] as const);
  const user = Object.entries(info.headers.userMetadata ?? {}).map(([name, value]) => [metaPrefix + name, value] as const);
  return {
    ...Object.fromEntries([...described, ...user]),
    'accept-ranges': 'bytes',
    ...tagHeaders(info),
    ...overrides(call),
  };
}

export const tagHeaders = (info: ListedObject): Record<string, string> => ({
  etag: quoteEtag(info.etag),
  'last-modified': formatHttpDate(info.mtimeMs),
});

export const quoteEtag = (etag: string): string => `"${etag}"`;

/** `response-content-type` and its sisters. */
function overrides({ query }: S3Call): Record<string, string> {
  const found = Object.values(names).flatMap((name) => {
    const value = query.get(`response-${name}`);
    if (value === undefined) return [];
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a header cannot hold control characters.
    if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value))
      throw new S3Error('InvalidArgument', `response-${name} has control characters`);
    return [[name, Buffer.from(value).toString('latin1')] as const];
  });
  return Object.fromEntries(found);
}

/** `x-amz-checksum-*` headers, and of what they were made. */
export function checksumHeaders(checksums: Checksums): Record<string, string> {
  const entries = checksumAlgorithms.flatMap((algorithm) => {
    const value = checksums[algorithm];
    return value === undefined ? [] : [[`x-amz-checksum-${algorithm}`, value] as const];
  });
  if (entries.length === 0) return {};
  const isComposite = entries.some(([, value]) => value.includes('-'));
  return { ...Object.fromEntries(entries), 'x-amz-checksum-type': isComposite ? 'COMPOSITE' : 'FULL_OBJECT' };
}

/** `ChecksumCRC32` and its sisters, as XML elements are called. */
export const checksumElementName = (algorithm: ChecksumAlgorithm): string => `Checksum${algorithm.toUpperCase()}`;

export const checksumElements = (checksums: Checksums): { name: string; children: string }[] =>
  checksumAlgorithms.flatMap((algorithm) => {
    const value = checksums[algorithm];
    return value === undefined ? [] : [{ name: checksumElementName(algorithm), children: value }];
  });

/** Conditional headers; `prefix` is `x-amz-copy-source-` for those about the source of a copy. */
export function readConditions(headers: ReadonlyMap<string, string>, prefix = ''): Conditions {
  return {
    ifMatch: headers.get(`${prefix}if-match`),
    ifNoneMatch: headers.get(`${prefix}if-none-match`),
    ifModifiedSinceMs: parseHttpDate(headers.get(`${prefix}if-modified-since`)),
    ifUnmodifiedSinceMs: parseHttpDate(headers.get(`${prefix}if-unmodified-since`)),
  };
}

/** Errors: `NotModified` with the object's ETag, or `PreconditionFailed`. */
export function assertReadable(conditions: Conditions, info: ObjectInfo): void {
  const decision = decideRead(conditions, info);
  if (decision === 'not_modified') throw new S3Error('NotModified', undefined, { headers: tagHeaders(info) });
  if (decision === 'failed') throw new S3Error('PreconditionFailed');
}

/** `If-Match` and `If-None-Match` of a write; `undefined` when it has none. Errors: `PreconditionFailed`, `NoSuchKey`. */
export function readWriteCondition({ headers, key }: Pick<S3Call, 'headers' | 'key'>): WriteCondition | undefined {
  const conditions = readConditions(headers);
  if (conditions.ifMatch === undefined && conditions.ifNoneMatch === undefined) return undefined;
  return (current) => {
    const decision = decideWrite(conditions, current);
    if (decision === 'failed') throw new S3Error('PreconditionFailed');
    if (decision === 'missing') throw new S3Error('NoSuchKey', undefined, { fields: { Key: key } });
  };
}
