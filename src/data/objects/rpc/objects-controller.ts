import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Objects } from '#gen/cellar/data/v1/objects_pb.ts';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import type { Caller } from '#kernel/calls/caller.ts';
import type { Implementation } from '#kernel/calls/dispatcher.ts';
import { alreadyExists, failedPrecondition, invalidArgument } from '#kernel/fault.ts';
import { type ByteRange, rangeSizeBytes } from '#lib/byte-range.ts';
import type { BucketInfo, ListedObject, ObjectInfo, WriteCondition } from '#s3/backend.ts';
import { installation, type Owner } from '#s3/bucket-settings.ts';
import { copyPath } from '../logic/copy-path.ts';
import type { FolderBackend } from '../logic/folder-backend.ts';
import { assertFilePlace } from './assert-file-place.ts';
import { readUpload } from './incoming-body.ts';

export interface ObjectsParts {
  readonly backend: FolderBackend;
  /** Head of the change stream: what was acknowledged before is covered by it. */
  readonly position: (signal: AbortSignal) => Promise<number>;
  /** Whether policies let somebody see that there is a bucket which is not theirs. */
  readonly isVisible: (caller: Caller, bucket: string, signal: AbortSignal) => Promise<boolean>;
  /** Objects are files, so that not every key can be beside every other. */
  readonly hasFiles: boolean;
  /** True for names that a bucket to be made cannot have, since another datasource has them. */
  readonly isTaken: (bucket: string) => boolean;
}

const pieceSizeBytes = 256 * 1024;
const pageKeys = 1000;

export function createObjectsController({
  backend,
  position,
  hasFiles,
  isVisible,
  isTaken,
}: ObjectsParts): Implementation<typeof Objects> {
  const covered = async (signal: AbortSignal): Promise<{ position: bigint }> => ({ position: BigInt(await position(signal)) });
  return {
    getChangePosition: (_request, call) => covered(call.signal),
    async *getObject({ bucket, key, firstByte, length, suffixLength, versionId, withDetails }) {
      const object = { bucket, key, ...(versionId === '' ? {} : { versionId }) };
      const { info, range, body } = await backend.get(object, ({ sizeBytes }) =>
        partOf(sizeBytes, Number(firstByte), Number(length), Number(suffixLength)),
      );
      await using stream = body instanceof Uint8Array ? undefined : body;
      yield {
        info: infoMessage(info, 0n),
        firstByte: BigInt(range?.first ?? 0),
        length: BigInt(range ? rangeSizeBytes(range) : info.sizeBytes),
        ...(withDetails ? { details: JSON.stringify(info) } : {}),
      };
      for await (const chunk of stream ?? [body as Uint8Array]) {
        for (let at = 0; at < chunk.length; at += pieceSizeBytes) yield { data: chunk.subarray(at, at + pieceSizeBytes) };
      }
    },
    async putObject(requests, call) {
      await using upload = await readUpload(requests);
      const { bucket, key, contentType, ifAbsent, ifEtag } = upload.target;
      if (hasFiles) await assertFilePlace(backend, bucket, key);
      const info = await backend.put({ bucket, key }, upload.body, {
        isForTree: hasFiles,
        headers: contentType === '' ? {} : { contentType },
        condition: ifAbsent || ifEtag !== '' ? writeCondition(key, ifAbsent, ifEtag) : undefined,
      });
      return infoMessage(info, (await covered(call.signal)).position);
    },
    async makeFolder({ bucket, key }, call) {
      await backend.mkdir(bucket, key);
      return covered(call.signal);
    },
    async movePath({ bucket, key, newKey, overwrite }, call) {
      await backend.move(bucket, key, newKey, { replace: overwrite });
      return covered(call.signal);
    },
    async copyPath({ bucket, key, newKey, overwrite }, call) {
      if (hasFiles && (await backend.stat(bucket, key)).kind === 'file') await assertFilePlace(backend, bucket, newKey);
      const files = await copyPath(backend, bucket, { from: key, to: newKey, isOverwriting: overwrite, signal: call.signal });
      return { ...(await covered(call.signal)), files: BigInt(files) };
    },
    async listBuckets(_request, call) {
      const all = await backend.listBuckets();
      const sees = await Promise.all(
        all.map(({ name, owner }) => owner.id === call.caller.id || isVisible(call.caller, name, call.signal)),
      );
      return { buckets: all.filter((_, at) => sees[at]).map(bucketMessage) };
    },
    async createBucket({ bucket }, call) {
      if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) {
        throw invalidArgument(`Cannot make bucket ${JSON.stringify(bucket)}: that is no name for one`, {
          reason: 'invalid_bucket_name',
          hint: 'A name has 3 to 63 lower-case letters, digits, dots and hyphens, with a letter or digit at both ends.',
        });
      }
      if (isTaken(bucket)) {
        throw alreadyExists(`Cannot make bucket "${bucket}": a datasource has that name`, { reason: 'bucket_exists' });
      }
      await backend.createBucket(bucket, { owner: ownerOf(call.caller) });
      return covered(call.signal);
    },
    async deleteBucket({ bucket, recursive }, call) {
      if (recursive) await emptyBucket(backend, bucket, call.signal);
      await backend.deleteBucket(bucket);
      return covered(call.signal);
    },
    async getBucketSettings({ bucket }) {
      return { settings: JSON.stringify(await backend.bucketSettings(bucket)) };
    },
    async *listObjects({ bucket, prefix, after }, call) {
      let from: string | undefined = after;
      while (from !== undefined) {
        call.signal.throwIfAborted();
        const { objects, next } = await backend.list(bucket, { prefix, delimiter: '', after: from, limit: pageKeys });
        if (objects.length > 0) yield { objects: objects.map(listedMessage) };
        from = next;
      }
    },
    async deletePath({ bucket, key, recursive }, call) {
      const { kind } = await backend.stat(bucket, key);
      if (kind === 'folder') await backend.removeFolder(bucket, key, { recursive });
      else await backend.delete({ bucket, key });
      return covered(call.signal);
    },
  };
}

/** Deletes every object, version and delete marker. What others write meanwhile stays, and with it the bucket. */
async function emptyBucket(backend: FolderBackend, bucket: string, signal: AbortSignal): Promise<void> {
  let page = { after: '', afterVersionId: undefined as string | undefined };
  while (true) {
    signal.throwIfAborted();
    const { versions, next } = await backend.listVersions(bucket, { prefix: '', delimiter: '', ...page, limit: pageKeys });
    for (const { key, versionId } of versions) await backend.delete({ bucket, key, versionId });
    if (!next) return;
    page = { after: next.key, afterVersionId: next.versionId };
  }
}

function ownerOf({ id, name, roles }: Caller): Owner {
  return roles.includes(Role.SERVICE) ? installation : { id, displayName: name };
}

function bucketMessage({ name, createdMs, owner }: BucketInfo) {
  return { name, createTime: timestampFromMs(createdMs), ownerId: owner.id, ownerName: owner.displayName };
}

function listedMessage({ key, sizeBytes, mtimeMs, etag }: ListedObject) {
  return { key, etag, sizeBytes: BigInt(sizeBytes), modifyTimeNs: BigInt(Math.round(mtimeMs)) * 1_000_000n };
}

/** Undefined: everything. A part that lies outside is an empty one, so that the reader still learns what is there. */
function partOf(sizeBytes: number, firstByte: number, length: number, suffixLength: number): ByteRange | undefined {
  if (suffixLength > 0) return { first: Math.max(0, sizeBytes - suffixLength), last: sizeBytes - 1 };
  if (firstByte === 0 && length === 0) return undefined;
  if (firstByte >= sizeBytes) return { first: 0, last: -1 };
  return { first: firstByte, last: length === 0 ? sizeBytes - 1 : Math.min(sizeBytes, firstByte + length) - 1 };
}

function writeCondition(key: string, ifAbsent: boolean, ifEtag: string): WriteCondition {
  return (current) => {
    if (ifAbsent && current)
      throw alreadyExists(`Cannot write ${JSON.stringify(key)}: it exists already`, { reason: 'key_exists' });
    if (ifEtag !== '' && current?.etag !== ifEtag) {
      throw failedPrecondition(`Cannot write ${JSON.stringify(key)}: it is not the content that was expected`, {
        reason: 'etag_mismatch',
        hint: 'Somebody changed it meanwhile: read it again, then decide.',
      });
    }
  };
}

function infoMessage({ key, sizeBytes, mtimeMs, etag, headers }: ObjectInfo, position: bigint) {
  return {
    ...{ key, etag, position },
    sizeBytes: BigInt(sizeBytes),
    modifyTimeNs: BigInt(Math.round(mtimeMs)) * 1_000_000n,
    contentType: headers.contentType ?? '',
  };
}
