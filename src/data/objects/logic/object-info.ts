import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { fileEtag, modifyTimeUs } from '#lib/file-etag.ts';
import type { ListedObject, ObjectHeaders, ObjectInfo } from '#s3/backend.ts';
import { encryptionOf } from '../encryption/envelope.ts';
import type { ObjectRow, StoredObject, VersionRow } from '../store/store.ts';
import { contentTypeOf } from './content-type.ts';
import { mtimeMsOf } from './stamp.ts';

/** The etag of what has no content. */
export const emptyMd5 = createHash('md5').digest('hex');

/** What is told of an object whose row says nothing. */
const nothing: Partial<StoredObject> = {};

/** A line of a listing, from the state of a file or folder on disk and the row of that very state. */
export function listed(key: string, stats: BigIntStats, row: ObjectRow | undefined): ListedObject {
  const { owner, storageClass, checksums } = row ?? nothing;
  const line: Mutable<ListedObject> = {
    key,
    sizeBytes: sizeOf(stats, row),
    mtimeMs: mtimeMsOf(stats),
    etag: row?.etag || (stats.isDirectory() ? emptyMd5 : unreadEtag(stats)),
  };
  if (owner) line.owner = owner;
  if (storageClass) line.storageClass = storageClass;
  if (checksums) line.checksums = checksums;
  return line;
}

/** What to tell about a file or folder. `isVersioned`: the bucket is or was versioned. */
export function describe(key: string, stats: BigIntStats, row: ObjectRow | undefined, isVersioned = false): ObjectInfo {
  return {
    ...listed(key, stats, row),
    ...detailsOf(key, row ?? nothing),
    ...(isVersioned ? { versionId: row?.versionId ?? 'null' } : {}),
  };
}

/** The same of what was just written. */
export function describeNew(
  row: ObjectRow,
  file: { readonly sizeBytes: number; readonly mtimeMs: number },
  versionId?: string,
): ObjectInfo {
  const { key, etag } = row;
  const { sizeBytes, mtimeMs } = file;
  return { key, sizeBytes, mtimeMs, etag, ...detailsOf(key, row), ...(versionId ? { versionId } : {}) };
}

/** The same of a version that is not the current one. */
export function describeVersion(row: VersionRow): ObjectInfo {
  const { key, sizeBytes, mtimeMs, etag, versionId } = row;
  return { key, sizeBytes, mtimeMs, etag, ...detailsOf(key, row), versionId };
}

function detailsOf(key: string, row: Partial<StoredObject>) {
  const { headers = {}, checksums = {}, owner, storageClass, tags, acl, retention, hasLegalHold, envelope, parts } = row;
  return {
    headers: withContentType(key, headers),
    checksums,
    ...(owner ? { owner } : {}),
    ...(storageClass ? { storageClass } : {}),
    ...(tags ? { tags } : {}),
    ...(acl ? { acl } : {}),
    ...(retention ? { retention } : {}),
    ...(hasLegalHold === undefined ? {} : { hasLegalHold }),
    ...(envelope ? { encryption: encryptionOf(envelope) } : {}),
    ...(parts ? { parts } : {}),
  };
}

/** Headers with the type that the key says when they say none. */
export const withContentType = (key: string, headers: ObjectHeaders): ObjectHeaders =>
  headers.contentType === undefined ? { contentType: contentTypeOf(key), ...headers } : headers;

const sizeOf = (stats: BigIntStats, row: ObjectRow | undefined): number =>
  row?.plainSizeBytes ?? (stats.isDirectory() ? 0 : Number(stats.size));

const unreadEtag = (stats: BigIntStats): string =>
  fileEtag({ sizeBytes: Number(stats.size), mtimeUs: modifyTimeUs(stats), inode: stats.ino });

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
