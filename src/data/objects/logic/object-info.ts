import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { fileEtag, modifyTimeUs } from '#lib/file-etag.ts';
import type { ObjectHeaders, ObjectInfo } from '#s3/backend.ts';
import type { ObjectRow } from '../store/store.ts';
import { contentTypeOf } from './content-type.ts';
import { mtimeMsOf } from './stamp.ts';

/** The etag of what has no content. */
export const emptyMd5 = createHash('md5').digest('hex');

/** What to tell about a file or folder, from its state on disk and the row of that very state. */
export function describe(key: string, stats: BigIntStats, row: ObjectRow | undefined): ObjectInfo {
  const isFolder = stats.isDirectory();
  return {
    key,
    sizeBytes: isFolder ? 0 : Number(stats.size),
    mtimeMs: mtimeMsOf(stats),
    etag: row?.etag || (isFolder ? emptyMd5 : unreadEtag(stats)),
    headers: withContentType(key, row?.headers ?? {}),
    checksums: row?.checksums ?? {},
  };
}

/** Headers with the type that the key says when they say none. */
export const withContentType = (key: string, headers: ObjectHeaders): ObjectHeaders => ({
  contentType: contentTypeOf(key),
  ...headers,
});

const unreadEtag = (stats: BigIntStats): string =>
  fileEtag({ sizeBytes: Number(stats.size), mtimeUs: modifyTimeUs(stats), inode: stats.ino });
