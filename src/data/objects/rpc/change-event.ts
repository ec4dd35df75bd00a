import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ObjectChange_Kind, ObjectChangeSchema } from '#gen/cellar/data/v1/objects_pb.ts';
import type { NewEvent, StreamEvent } from '#kernel/streams/streams.ts';
import { acting } from '#s3/actor.ts';
import type { Change } from '../logic/change.ts';
import type { NotifiedChange } from '../logic/notification-records.ts';

const kinds = {
  put: ObjectChange_Kind.PUT,
  delete: ObjectChange_Kind.DELETE,
  mkdir: ObjectChange_Kind.MAKE_FOLDER,
  move: ObjectChange_Kind.MOVE,
} as const;

/** A committed change as an event of the stream "changes". Of a move the event's `key` is the old one. */
export function changeEvent({ bucket, key, kind, fromKey, mtimeMs, etag, ...change }: Change): NewEvent {
  const { sizeBytes, plainSizeBytes, versionId = '', isHard = false } = change;
  const message = create(ObjectChangeSchema, {
    kind: kinds[kind],
    bucket,
    key: fromKey ?? key,
    newKey: fromKey === undefined ? '' : key,
    sizeBytes: BigInt(sizeBytes),
    modifyTimeNs: BigInt(Math.round(mtimeMs)) * 1_000_000n,
    ...(plainSizeBytes === undefined ? {} : { plainSizeBytes: BigInt(plainSizeBytes) }),
    ...{ etag, versionId, hidden: isHard },
  });
  const actor = acting.getStore();
  return {
    ...{ key: bucket, type: `object.${kind}`, payload: toBinary(ObjectChangeSchema, message) },
    ...(actor ? { headers: { ...actor } } : {}),
  };
}

/** The same back. */
export function readChangeEvent({ payload, headers, position, timeMs }: StreamEvent): NotifiedChange {
  const { kind, bucket, key, newKey, sizeBytes, plainSizeBytes, etag, versionId } = fromBinary(ObjectChangeSchema, payload);
  const { operation = '', key: askedKey = '', userId = '', address = '', requestId = '' } = headers;
  return {
    ...{ position, timeMs, bucket, key, newKey, etag },
    kind: wordOf(kind),
    sizeBytes: Number(plainSizeBytes ?? sizeBytes),
    ...(versionId === '' ? {} : { versionId }),
    actor: { operation, key: askedKey, userId, address, requestId },
  };
}

const wordOf = (kind: ObjectChange_Kind): Change['kind'] =>
  (Object.keys(kinds) as Change['kind'][]).find((word) => kinds[word] === kind) ?? 'put';
