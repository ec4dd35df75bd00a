import { Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import { deadlineFault } from '../../calls/call.ts';
import { Code, exhausted, Fault, unavailable } from '../../fault.ts';
import { decodeFault, encodeFault } from '../wire.ts';

/** Trailer with a `FaultDetail`; clients that do not know it have status and message. */
export const faultTrailer = 'cellar-fault-bin';
/** Clients in other languages take at most 8 KiB of trailers. */
const trailerBytesMax = 4096;
const messageLengthMax = 1024;

const statusOfCode: Readonly<Record<Code, status>> = {
  canceled: status.CANCELLED,
  unknown: status.UNKNOWN,
  invalid_argument: status.INVALID_ARGUMENT,
  deadline_exceeded: status.DEADLINE_EXCEEDED,
  not_found: status.NOT_FOUND,
  already_exists: status.ALREADY_EXISTS,
  permission_denied: status.PERMISSION_DENIED,
  resource_exhausted: status.RESOURCE_EXHAUSTED,
  failed_precondition: status.FAILED_PRECONDITION,
  aborted: status.ABORTED,
  out_of_range: status.OUT_OF_RANGE,
  unimplemented: status.UNIMPLEMENTED,
  internal: status.INTERNAL,
  unavailable: status.UNAVAILABLE,
  data_loss: status.DATA_LOSS,
  unauthenticated: status.UNAUTHENTICATED,
};
const codeOfStatus = new Map(Object.entries(statusOfCode).map(([code, value]) => [value, code as Code]));

export function statusOf(error: unknown): StatusObject {
  const fault = Fault.from(error);
  const metadata = new Metadata();
  metadata.set(faultTrailer, Buffer.from(encodeFault(fault, trailerBytesMax)));
  return { code: statusOfCode[fault.code], details: fault.message.slice(0, messageLengthMax), metadata };
}

export interface Failed {
  readonly address: string;
  readonly methodName: string;
  readonly service: string;
}

/** The fault of a failed call: the service's own, or what the transport found. */
export function faultOf(error: ServiceError, { address, methodName, service }: Failed): Fault {
  const [detail] = error.metadata?.get(faultTrailer) ?? [];
  if (Buffer.isBuffer(detail)) return decodeFault(detail);
  switch (error.code) {
    case status.DEADLINE_EXCEEDED:
      return deadlineFault(methodName);
    case status.UNIMPLEMENTED:
      // The process has nobody with this contract: the instance has moved, or not come yet.
      return service
        ? unavailable(`Cannot call ${methodName}: ${service} does not run at ${address}`, { reason: 'not_running', cause: error })
        : new Fault(Code.Unimplemented, `Cannot call ${methodName}: no service at ${address} has it`, { cause: error });
    case status.RESOURCE_EXHAUSTED:
      return exhausted(`Cannot carry a message of ${methodName}: ${error.details}`, {
        reason: 'message_too_large',
        hint: 'Send it as a stream of smaller messages.',
        cause: error,
      });
    // A stream that is reset, or a server that goes away, without a status of its own.
    case status.UNAVAILABLE:
    case status.CANCELLED:
      return unavailable(`The connection to ${address} was lost before the answer`, {
        reason: 'connection_lost',
        retryAfterMs: 50,
        cause: error,
      });
    default:
      return new Fault(codeOfStatus.get(error.code) ?? Code.Unknown, error.details || `Cannot reach ${address}`, {
        cause: error,
      });
  }
}
