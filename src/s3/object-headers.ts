import { type ChecksumAlgorithm, checksumAlgorithms } from '#lib/checksum.ts';
import { type Conditions, decideRead, decideWrite } from '#lib/http-conditions.ts';
import { formatHttpDate, parseHttpDate } from '#lib/http-date.ts';
import type { Checksums, ListedObject, ObjectHeaders, ObjectInfo, WriteCondition } from './backend.ts';
import type { BucketSettings } from './bucket-settings.ts';
import type { S3Call } from './call.ts';
import { encryptionHeaders } from './encryption-headers.ts';
import { S3Error } from './errors.ts';
import { expirationOf } from './lifecycle-expiration.ts';
import { lockHeaders } from './object-lock.ts';

const names = {
  contentType: 'content-type',
  cacheControl: 'cache-control',
  contentDisposition: 'content-disposition',
  contentEncoding: 'content-encoding',
  contentLanguage: 'content-language',
  expires: 'expires',
} as const satisfies Partial<Record<keyof ObjectHeaders, string>>;
const fields = Object.entries(names) as [keyof typeof names, string][];

const metaPrefix = 'x-amz-meta-';
const redirectName = 'x-amz-website-redirect-location';

/** What a write says about the object. Errors: `MetadataTooLarge`, `InvalidArgument` for a redirect that is no address. */
export function readObjectHeaders({ headers, limits }: Pick<S3Call, 'headers' | 'limits'>): ObjectHeaders {
  const read: { -readonly [Field in keyof ObjectHeaders]: ObjectHeaders[Field] } = {};
  for (const [field, name] of fields) {
    const value = field === 'contentEncoding' ? withoutAwsChunked(headers.get(name)) : headers.get(name);
    if (value) read[field] = value;
  }
  const redirect = headers.get(redirectName);
  if (redirect !== undefined) {
    if (!/^(\/|https?:\/\/)/.test(redirect) || redirect.length > 2_048)
      throw new S3Error('InvalidArgument', "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.");
    read.websiteRedirect = redirect;
  }
  const user: Record<string, string> = {};
  let sizeBytes = 0;
  for (const [name, value] of headers) {
    if (!name.startsWith(metaPrefix)) continue;
    sizeBytes += name.length - metaPrefix.length + value.length;
    user[name.slice(metaPrefix.length)] = value;
  }
  if (sizeBytes > limits.userMetadataSizeBytesMax) throw new S3Error('MetadataTooLarge');
  if (sizeBytes > 0) read.userMetadata = user;
  return read;
}

/** `aws-chunked` describes the transfer, not the object. */
function withoutAwsChunked(encoding: string | undefined): string | undefined {
  const rest = encoding
    ?.split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '' && word !== 'aws-chunked');
  return rest?.join(', ');
}

type AnswerHeaders = Record<string, string | number | undefined>;

/** The headers of GET and HEAD that describe the object. */
export function describeObject(info: ObjectInfo, call: S3Call): AnswerHeaders {
  const described: AnswerHeaders = {
    'accept-ranges': 'bytes',
    'content-type': 'binary/octet-stream',
    etag: quoteEtag(info.etag),
    'last-modified': formatHttpDate(info.mtimeMs),
  };
  const { headers, tags, storageClass } = info;
  for (const [field, name] of fields) if (headers[field] !== undefined) described[name] = headerText(headers[field]);
  if (headers.userMetadata)
    for (const [name, value] of Object.entries(headers.userMetadata)) described[metaPrefix + name] = headerText(value);
  if (headers.websiteRedirect) described[redirectName] = headers.websiteRedirect;
  if (info.versionId !== undefined) described['x-amz-version-id'] = info.versionId;
  if (storageClass !== undefined && storageClass !== 'STANDARD') described['x-amz-storage-class'] = storageClass;
  const tagCount = tags ? Object.keys(tags).length : 0;
  if (tagCount > 0) described['x-amz-tagging-count'] = tagCount;
  if (info.encryption) Object.assign(described, encryptionHeaders(info.encryption));
  if (info.retention || info.hasLegalHold !== undefined) Object.assign(described, lockHeaders(info));
  return call.query.size === 0 ? described : Object.assign(described, overrides(call));
}

/** Text as a header can carry it: characters beyond Latin-1 are encoded as S3 does. Source: RFC 2047. */
function headerText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of Latin-1 is what this is about.
  return /^[\u0000-\u00ff]*$/.test(text) ? text : `=?UTF-8?B?${Buffer.from(text).toString('base64')}?=`;
}

/** What every write answers: which version it made, how it is encrypted and when it will expire. */
export const writeHeaders = (info: ObjectInfo, settings: BucketSettings): Record<string, string> => ({
  // Where versioning is suspended nothing was made that needs naming.
  ...(info.versionId === undefined || info.versionId === 'null' ? {} : { 'x-amz-version-id': info.versionId }),
  ...encryptionHeaders(info.encryption),
  ...expirationHeader(info, settings),
});

/** When the rules of the bucket will have the current version of an object deleted. */
export function expirationHeader(info: ObjectInfo, { lifecycle }: BucketSettings): Record<string, string> {
  const found = lifecycle && expirationOf(lifecycle, info.key, info);
  return found ? { 'x-amz-expiration': `expiry-date="${formatHttpDate(found.atMs)}", rule-id="${found.ruleId}"` } : {};
}

export const tagHeaders = (info: ListedObject): Record<string, string> => ({
  etag: quoteEtag(info.etag),
  'last-modified': formatHttpDate(info.mtimeMs),
});

export const quoteEtag = (etag: string): string => `"${etag}"`;

/** `response-content-type` and its sisters. */
function overrides({ query, user }: S3Call): Record<string, string> {
  const found = fields.flatMap(([, name]) => {
    const value = query.get(`response-${name}`);
    if (value === undefined) return [];
    if (!user)
      throw new S3Error('InvalidRequest', 'Request specific response headers cannot be used for anonymous GET requests.');
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
