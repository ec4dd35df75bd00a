import { constants } from 'node:fs';
import type { CopyOptions, EncryptionRequest, NewObject, ObjectInfo, WriteCondition } from '#s3/backend.ts';
import { storedBody } from '#s3/stored-body.ts';
import type { Volume } from '../../volume.ts';
import type { Envelope } from '../encryption/envelope.ts';
import type { StoredObject } from '../store/store.ts';
import { presetOf } from './content-coding.ts';
import type { FolderBucket } from './folder-bucket.ts';
import { close, copyFile, fstat, fsync, open, removeIfThere } from './fs.ts';
import { plainPath } from './key-path.ts';
import { stampOf } from './stamp.ts';
import { attributesOf } from './stored.ts';
import { backdate, type TemporaryFile, temporaryFile } from './temporary-file.ts';

/** An object of a bucket; absent `versionId`: the current one. */
export interface CopyPlace {
  readonly bucket: FolderBucket;
  readonly key: string;
  readonly versionId?: string | undefined;
}

/** A source whose file is open and has the very bytes that the target's file is to have. */
interface SameBytes {
  readonly fd: number;
  readonly stored: StoredObject;
  readonly sizeBytes: number;
  readonly object: NewObject;
  readonly condition: WriteCondition | undefined;
}

/**
 * Copies an object, into another bucket of ours too. The copy is one part, whatever the source was made of.
 *
 * Bytes that stay as they are on the disk are not read: the file system shares them or copies them by itself, and onto itself nothing is
 * copied at all. Else they are read, opened and sealed as asked for, and their MD5 and checksum are made.
 */
export async function copyObject(from: CopyPlace, to: CopyPlace, options: CopyOptions): Promise<ObjectInfo> {
  const { headers, tags, checksumAlgorithm, sourceKey, sourceCondition, condition, ...kept } = options;
  const { fd, info, stored } = await from.bucket.reader.openRaw(from.key, from.versionId);
  try {
    sourceCondition?.(info);
    const object: NewObject = { ...kept, headers: headers ?? info.headers, tags: tags ?? info.tags };
    const wanted = kept.encryption ?? presetOf(to.bucket.disk.settings);
    const isSame =
      // The MD5 of what was made of parts, or written by another program, is not known.
      /^[0-9a-f]{32}$/.test(stored?.etag ?? '') &&
      (checksumAlgorithm === undefined || stored?.checksums[checksumAlgorithm] !== undefined) &&
      isSealedAs(stored?.envelope, wanted);
    if (fd !== undefined && stored && isSame && !plainPath(to.key)?.isFolder) {
      const same: SameBytes = { fd, stored, sizeBytes: info.sizeBytes, object, condition };
      const done = (await relabel(from, to, same)) ?? (await clone(to, same));
      if (done) return done;
    }
  } finally {
    if (fd !== undefined) close(fd);
  }
  return await rewrite(from, to, options);
}

/** Whether sealing anew would come to the same. A client's own key is never had twice. */
function isSealedAs(envelope: Envelope | undefined, wanted: EncryptionRequest | undefined): boolean {
  if (!envelope || !wanted) return !envelope && !wanted;
  if (envelope.kind === 'sse_kms' && wanted.kind === 'sse_kms')
    return envelope.keyId === wanted.keyId && envelope.context === wanted.context;
  return envelope.kind === 'sse_s3' && wanted.kind === 'sse_s3';
}

/** Onto itself only what is kept beside the bytes is written. `undefined` when it is another object, or would be another version. */
async function relabel(from: CopyPlace, to: CopyPlace, same: SameBytes): Promise<ObjectInfo | undefined> {
  const { disk, finder } = to.bucket;
  if (disk !== from.bucket.disk || from.key !== to.key || disk.settings.versioning) return undefined;
  return await disk.committing([to.key], async () => {
    const current = await finder.find(to.key);
    if (!current?.row || current.stamp !== stampOf(disk.fstat(same.fd))) return undefined;
    same.condition?.(finder.infoOf(current));
    const { key, stamp, kind, etag, checksums, envelope, plainSizeBytes } = current.row;
    const row = {
      ...{ key, stamp, kind, etag, checksums },
      ...(envelope ? { envelope } : {}),
      ...(plainSizeBytes === undefined ? {} : { plainSizeBytes }),
      ...attributesOf(same.object),
    };
    await disk.write([{ kind: 'put', row }]);
    const info = finder.infoOf({ ...current, row });
    const isHard = kind === 'hard' ? { isHard: true as const } : {};
    await disk.record({ key, kind: 'put', sizeBytes: Number(current.stats.size), mtimeMs: info.mtimeMs, etag, ...isHard });
    return info;
  });
}

/** A copy of the file, shared with it where the file system can. `undefined` when the file was written to meanwhile. */
async function clone(to: CopyPlace, same: SameBytes): Promise<ObjectInfo | undefined> {
  const { disk, writer } = to.bucket;
  // Elsewhere an open file has no path, and another one may be at the path it had.
  if (process.platform !== 'linux') return undefined;
  return await disk.writing(async () => {
    using temporary = await disk.privateDirectory('tmp');
    const path = temporary.at(disk.newId());
    await using file = await clonedFile(path, same, disk.volume);
    if (!file) return undefined;
    const { etag, checksums } = same.stored;
    return await writer.commit(to.key, file, { ...attributesOf(same.object), etag, checksums, condition: same.condition });
  });
}

async function clonedFile(
  path: string,
  { fd, stored, sizeBytes }: SameBytes,
  volume: Volume,
): Promise<TemporaryFile | undefined> {
  const before = stampOf(fstat(fd));
  try {
    await copyFile(`/proc/self/fd/${fd}`, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    const copy = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      await backdate(copy, volume);
      await fsync(copy);
      const stats = fstat(copy);
      const digest = { md5Hex: stored.etag, checksums: stored.checksums };
      if (stampOf(fstat(fd)) === before && stats.size === fstat(fd).size)
        return temporaryFile({ path, stats, volume, sizeBytes, envelope: stored.envelope, digest });
    } finally {
      close(copy);
    }
  } catch (error) {
    await removeIfThere(path);
    throw error;
  }
  await removeIfThere(path);
  return undefined;
}

async function rewrite(from: CopyPlace, to: CopyPlace, options: CopyOptions): Promise<ObjectInfo> {
  const { headers, tags, checksumAlgorithm, sourceKey, sourceCondition, condition, ...kept } = options;
  const content = await from.bucket.reader.get(
    from.key,
    from.versionId,
    (info) => {
      sourceCondition?.(info);
      return undefined;
    },
    { customerKey: sourceKey },
  );
  const { info } = content;
  const [known] = Object.keys(info.checksums) as (keyof typeof info.checksums)[];
  await using body = storedBody(content, checksumAlgorithm ?? known);
  const object = { ...kept, headers: headers ?? info.headers, tags: tags ?? info.tags };
  return await to.bucket.writer.put(to.key, body, { ...object, condition });
}
