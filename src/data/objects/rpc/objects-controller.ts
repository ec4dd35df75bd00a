import type { Objects } from '#gen/cellar/data/v1/objects_pb.ts';
import type { Implementation } from '#kernel/calls/dispatcher.ts';
import { alreadyExists, failedPrecondition } from '#kernel/fault.ts';
import { type ByteRange, rangeSizeBytes } from '#lib/byte-range.ts';
import type { ObjectInfo, WriteCondition } from '#s3/backend.ts';
import { copyPath } from '../logic/copy-path.ts';
import type { FolderBackend } from '../logic/folder-backend.ts';
import { readUpload } from './incoming-body.ts';

export interface ObjectsParts {
  readonly backend: FolderBackend;
  /** Head of the change stream: what was acknowledged before is covered by it. */
  readonly position: (signal: AbortSignal) => Promise<number>;
}

const pieceSizeBytes = 256 * 1024;

export function createObjectsController({ backend, position }: ObjectsParts): Implementation<typeof Objects> {
  const covered = async (signal: AbortSignal): Promise<{ position: bigint }> => ({ position: BigInt(await position(signal)) });
  return {
    getChangePosition: (_request, call) => covered(call.signal),
    async *getObject({ bucket, key, firstByte, length, suffixLength }) {
      const { info, range, body } = await backend.get({ bucket, key }, ({ sizeBytes }) =>
        partOf(sizeBytes, Number(firstByte), Number(length), Number(suffixLength)),
      );
      await using stream = body instanceof Uint8Array ? undefined : body;
      yield {
        info: infoMessage(info, 0n),
        firstByte: BigInt(range?.first ?? 0),
        length: BigInt(range ? rangeSizeBytes(range) : info.sizeBytes),
      };
      for await (const chunk of stream ?? [body as Uint8Array]) {
        for (let at = 0; at < chunk.length; at += pieceSizeBytes) yield { data: chunk.subarray(at, at + pieceSizeBytes) };
      }
    },
    async putObject(requests, call) {
      await using upload = await readUpload(requests);
      const { bucket, key, contentType, ifAbsent, ifEtag } = upload.target;
      const info = await backend.put({ bucket, key }, upload.body, {
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
      const files = await copyPath(backend, bucket, { from: key, to: newKey, isOverwriting: overwrite, signal: call.signal });
      return { ...(await covered(call.signal)), files: BigInt(files) };
    },
    async deletePath({ bucket, key, recursive }, call) {
      const { kind } = await backend.stat(bucket, key);
      if (kind === 'folder') await backend.removeFolder(bucket, key, { recursive });
      else await backend.delete({ bucket, key });
      return covered(call.signal);
    },
  };
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
