import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { Metadata } from '@grpc/grpc-js';
import { CallerSchema } from '#gen/cellar/kernel/v1/call_pb.ts';
import type { Caller } from '../../calls/caller.ts';
import type { Outgoing } from '../../calls/channel.ts';
import { Trace } from '../../calls/trace.ts';
import { invalidArgument } from '../../fault.ts';
import { callerFrom, callerMessage } from '../wire.ts';

const callerKey = 'cellar-caller-bin';
const serviceKey = 'cellar-service';
const idempotencyKey = 'cellar-idempotency-key-bin';
const traceKey = 'traceparent';

/** What travels beside a request; the deadline is gRPC's own. */
export function metadataOf(outgoing: Outgoing): Metadata {
  const metadata = new Metadata();
  metadata.set(callerKey, Buffer.from(toBinary(CallerSchema, callerMessage(outgoing.caller))));
  metadata.set(traceKey, outgoing.trace.toString());
  if (outgoing.service) metadata.set(serviceKey, outgoing.service);
  if (outgoing.idempotencyKey) metadata.set(idempotencyKey, Buffer.from(outgoing.idempotencyKey));
  return metadata;
}

export interface Stated {
  /** Absent when the client states none. */
  readonly caller: Caller | undefined;
  readonly service: string;
  readonly trace: Trace;
  readonly idempotencyKey: string;
}

/** Errors: `invalid_argument` when the caller is not Protobuf. */
export function readMetadata(metadata: Metadata): Stated {
  const first = (key: string): string => metadata.get(key)[0]?.toString() ?? '';
  const [caller] = metadata.get(callerKey);
  return {
    caller: Buffer.isBuffer(caller) ? readCaller(caller) : undefined,
    service: first(serviceKey),
    trace: Trace.parse(first(traceKey)),
    idempotencyKey: first(idempotencyKey),
  };
}

function readCaller(bytes: Uint8Array): Caller {
  try {
    return callerFrom(fromBinary(CallerSchema, bytes));
  } catch (error) {
    throw invalidArgument(`Cannot read the metadata ${callerKey}: it is no cellar.kernel.v1.Caller`, { cause: error });
  }
}
