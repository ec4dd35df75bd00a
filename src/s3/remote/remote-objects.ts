import type { IncomingHttpHeaders } from 'node:http';
import { Code, Fault } from '#kernel/fault.ts';
import { checksumAlgorithms } from '#lib/checksum.ts';
import type { Checksums, Encryption, NewObject, ObjectHeaders, ObjectInfo } from '../backend.ts';

const names = {
  contentType: 'content-type',
  cacheControl: 'cache-control',
  contentDisposition: 'content-disposition',
  contentEncoding: 'content-encoding',
  contentLanguage: 'content-language',
  expires: 'expires',
  websiteRedirect: 'x-amz-website-redirect-location',
} as const satisfies Partial<Record<keyof ObjectHeaders, string>>;
const fields = Object.entries(names) as [keyof typeof names, string][];
const metaPrefix = 'x-amz-meta-';

export const plainEtag = (etag: string | undefined): string => (etag ?? '').replace(/^W\//, '').replaceAll('"', '');

/** An object as the headers of a HEAD or GET describe it; of a part of one, `content-range` has the size of all. */
export function readInfo(key: string, headers: IncomingHttpHeaders): ObjectInfo {
  const all = /\/(\d+)$/.exec(String(headers['content-range'] ?? ''))?.[1];
  const storageClass = headers['x-amz-storage-class'];
  const versionId = headers['x-amz-version-id'];
  const encryption = readEncryption(headers);
  return {
    key,
    sizeBytes: Number(all ?? headers['content-length'] ?? 0),
    mtimeMs: Date.parse(String(headers['last-modified'])) || 0,
    etag: plainEtag(headers.etag),
    headers: readHeaders(headers),
    checksums: readChecksums(headers),
    ...(typeof storageClass === 'string' ? { storageClass } : {}),
    ...(typeof versionId === 'string' ? { versionId } : {}),
    ...(encryption ? { encryption } : {}),
  };
}

function readHeaders(headers: IncomingHttpHeaders): ObjectHeaders {
  const user = Object.entries(headers).filter(([name]) => name.startsWith(metaPrefix));
  return {
    ...Object.fromEntries(
      fields.flatMap(([field, name]) => (headers[name] === undefined ? [] : [[field, String(headers[name])]])),
    ),
    ...(user.length === 0
      ? {}
      : { userMetadata: Object.fromEntries(user.map(([name, value]) => [name.slice(metaPrefix.length), String(value)])) }),
  };
}

function readChecksums(headers: IncomingHttpHeaders): Checksums {
  return Object.fromEntries(
    checksumAlgorithms.flatMap((algorithm) => {
      const value = headers[`x-amz-checksum-${algorithm}`];
      return typeof value === 'string' ? [[algorithm, value]] : [];
    }),
  );
}

function readEncryption(headers: IncomingHttpHeaders): Encryption | undefined {
  const algorithm = headers['x-amz-server-side-encryption'];
  if (algorithm === 'AES256') return { kind: 'sse_s3' };
  if (algorithm !== 'aws:kms') return undefined;
  return { kind: 'sse_kms', keyId: String(headers['x-amz-server-side-encryption-aws-kms-key-id'] ?? '') };
}

/** Headers that say what is kept with a new object. Errors: `unimplemented` for what another server is not asked for. */
export function writeHeaders({
  headers = {},
  tags,
  storageClass,
  encryption,
  acl,
  retention,
  hasLegalHold,
}: NewObject): Record<string, string> {
  if (encryption?.kind === 'sse_c' || retention || hasLegalHold !== undefined || acl?.grants.some(isForOthers)) {
    throw new Fault(Code.Unimplemented, "A remote datasource keeps no client's keys, access lists or locks", {
      reason: 'remote_unimplemented',
      hint: 'Write the object without them.',
    });
  }
  const written: Record<string, string> = {};
  for (const [field, name] of fields) if (headers[field] !== undefined) written[name] = headers[field];
  for (const [name, value] of Object.entries(headers.userMetadata ?? {})) written[metaPrefix + name] = value;
  if (tags && Object.keys(tags).length > 0) written['x-amz-tagging'] = new URLSearchParams(tags).toString();
  if (storageClass !== undefined && storageClass !== 'STANDARD') written['x-amz-storage-class'] = storageClass;
  if (encryption) written['x-amz-server-side-encryption'] = encryption.kind === 'sse_s3' ? 'AES256' : 'aws:kms';
  if (encryption?.kind === 'sse_kms' && encryption.keyId)
    written['x-amz-server-side-encryption-aws-kms-key-id'] = encryption.keyId;
  return written;
}

const isForOthers = ({ grantee }: { readonly grantee: { readonly kind: string } }): boolean => grantee.kind !== 'user';
