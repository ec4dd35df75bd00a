import { create, type DescMessage, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import { type Caller as CallerMessage, CallerSchema, FaultDetailSchema } from '#gen/cellar/kernel/v1/call_pb.ts';
import type { Caller } from '../calls/caller.ts';
import { Code, Fault, invalidArgument } from '../fault.ts';

/** A caller as its message; with `callerFrom` and the faults below the same on every transport that has bytes. */
export function callerMessage({ id, name, roles, scopes, via, credential = '', origin = '' }: Caller): CallerMessage {
  return create(CallerSchema, { id, name, roles: [...roles], scopes: [...scopes], via, credential, origin });
}

export function callerFrom({ id, name, roles, scopes, via, credential, origin }: CallerMessage): Caller {
  return Object.freeze({ id, name, roles, scopes, via, ...(credential ? { credential } : {}), ...(origin ? { origin } : {}) });
}

/** `bytesMax`: violations that do not fit are left out. */
export function encodeFault(fault: Fault, bytesMax = Number.POSITIVE_INFINITY): Uint8Array {
  const detail = create(FaultDetailSchema, {
    code: fault.code,
    reason: fault.reason,
    message: fault.message,
    hint: fault.hint ?? '',
    violations: fault.violations.map(({ field, message }) => ({ field, message })),
    ...(fault.retryAfterMs === undefined ? {} : { retryAfterMs: BigInt(Math.max(0, Math.round(fault.retryAfterMs))) }),
  });
  let bytes = toBinary(FaultDetailSchema, detail);
  while (bytes.length > bytesMax && detail.violations.length > 0) {
    detail.violations.length = Math.floor(detail.violations.length / 2);
    bytes = toBinary(FaultDetailSchema, detail);
  }
  return bytes;
}

const codes: ReadonlySet<string> = new Set(Object.values(Code));

export function decodeFault(bytes: Uint8Array): Fault {
  const detail = fromBinary(FaultDetailSchema, bytes);
  return new Fault(codes.has(detail.code) ? (detail.code as Code) : Code.Unknown, detail.message, {
    reason: detail.reason,
    violations: detail.violations.map(({ field, message }) => ({ field, message })),
    ...(detail.hint ? { hint: detail.hint } : {}),
    ...(detail.retryAfterMs === undefined ? {} : { retryAfterMs: Number(detail.retryAfterMs) }),
  });
}

/**
 * Reads one message. Byte fields are views into `bytes`, which must not be written to again.
 * Errors: `invalid_argument` when the bytes are not that message.
 */
export function decodeMessage(desc: DescMessage, bytes: Uint8Array): Message {
  try {
    return fromBinary(desc, bytes);
  } catch (error) {
    throw invalidArgument(`Cannot read a ${desc.typeName}: ${error instanceof Error ? error.message : 'not Protobuf'}`, {
      reason: 'malformed_message',
      cause: error,
    });
  }
}
