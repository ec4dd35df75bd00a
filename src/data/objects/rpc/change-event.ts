import { create, toBinary } from '@bufbuild/protobuf';
import { ObjectChange_Kind, ObjectChangeSchema } from '#gen/cellar/data/v1/objects_pb.ts';
import type { NewEvent } from '#kernel/streams/streams.ts';
import type { Change } from '../logic/change.ts';

const kinds = {
  put: ObjectChange_Kind.PUT,
  delete: ObjectChange_Kind.DELETE,
  mkdir: ObjectChange_Kind.MAKE_FOLDER,
  move: ObjectChange_Kind.MOVE,
} as const;

/** A committed change as an event of the stream "changes". Of a move the event's `key` is the old one. */
export function changeEvent({ bucket, key, kind, fromKey, sizeBytes, mtimeMs, etag }: Change): NewEvent {
  const message = create(ObjectChangeSchema, {
    kind: kinds[kind],
    bucket,
    key: fromKey ?? key,
    newKey: fromKey === undefined ? '' : key,
    sizeBytes: BigInt(sizeBytes),
    modifyTimeNs: BigInt(Math.round(mtimeMs)) * 1_000_000n,
    etag,
  });
  return { key: bucket, type: `object.${kind}`, payload: toBinary(ObjectChangeSchema, message) };
}
