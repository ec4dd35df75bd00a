import { Code, Fault } from '../fault.ts';

/** An error as it is sent over HTTP. Source: RFC 9457; the members after `instance` are ours. */
export interface Problem {
  /** `urn:cellar:fault:<reason>`. */
  readonly type: string;
  /** What the code means, in words. */
  readonly title: string;
  /** The HTTP status. */
  readonly status: number;
  /** What could not be done and why. */
  readonly detail: string;
  /** `urn:cellar:trace:<id>`: this case in logs. */
  readonly instance: string;
  readonly code: Code;
  readonly reason: string;
  readonly hint?: string;
  readonly violations?: readonly { readonly field: string; readonly message: string }[];
  /** Unit: milliseconds. */
  readonly retryAfterMs?: number;
}

export const problemType = 'application/problem+json';

/** Source: google/rpc/code.proto, "HTTP Mapping". */
const table: Readonly<Record<Code, readonly [status: number, title: string]>> = {
  canceled: [499, 'The client went away'],
  unknown: [500, 'Unknown error'],
  invalid_argument: [400, 'Invalid request'],
  deadline_exceeded: [504, 'Took too long'],
  not_found: [404, 'Not found'],
  already_exists: [409, 'Exists already'],
  permission_denied: [403, 'Not allowed'],
  resource_exhausted: [429, 'Too much'],
  failed_precondition: [400, 'Not possible in this state'],
  aborted: [409, 'Conflict'],
  out_of_range: [400, 'Out of range'],
  unimplemented: [501, 'Not implemented'],
  internal: [500, 'Internal error'],
  unavailable: [503, 'Not available now'],
  data_loss: [500, 'Data loss'],
  unauthenticated: [401, 'Not signed in'],
};

/** A fault that the HTTP edge itself finds and that has a status of its own, such as 405 or 413. */
export class HttpFault extends Fault {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, fault: Fault, headers: Readonly<Record<string, string>> = {}) {
    super(fault.code, fault.message, {
      reason: fault.reason,
      violations: fault.violations,
      ...(fault.hint === undefined ? {} : { hint: fault.hint }),
      ...(fault.retryAfterMs === undefined ? {} : { retryAfterMs: fault.retryAfterMs }),
      cause: fault.cause,
    });
    this.status = status;
    this.headers = headers;
  }
}

/** Reasons that HTTP has a word of its own for. Source: RFC 4918, 11.5. */
const byReason: Readonly<Record<string, readonly [status: number, title: string]>> = {
  disk_full: [507, 'No space left'],
};

export function statusOf(fault: Fault): number {
  return fault instanceof HttpFault ? fault.status : answerOf(fault)[0];
}

function answerOf({ code, reason }: Fault): readonly [status: number, title: string] {
  return byReason[reason] ?? table[code];
}

export function problemOf(fault: Fault, traceId: string): Problem {
  return {
    type: `urn:cellar:fault:${fault.reason}`,
    title: answerOf(fault)[1],
    status: statusOf(fault),
    detail: fault.message,
    instance: `urn:cellar:trace:${traceId}`,
    code: fault.code,
    reason: fault.reason,
    ...(fault.hint === undefined ? {} : { hint: fault.hint }),
    ...(fault.violations.length === 0 ? {} : { violations: fault.violations }),
    ...(fault.retryAfterMs === undefined ? {} : { retryAfterMs: fault.retryAfterMs }),
  };
}

/** The fault that a problem tells of; of anything else one that says what was answered. */
export function faultOf(body: unknown, status: number, where: string): Fault {
  const problem = body as Partial<Problem> | null;
  if (typeof problem === 'object' && problem !== null && problem.code !== undefined && problem.code in table) {
    return new Fault(problem.code, problem.detail ?? problem.title ?? `${where} answered ${status}`, {
      ...(problem.reason === undefined ? {} : { reason: problem.reason }),
      ...(problem.hint === undefined ? {} : { hint: problem.hint }),
      ...(problem.violations === undefined ? {} : { violations: problem.violations }),
      ...(problem.retryAfterMs === undefined ? {} : { retryAfterMs: problem.retryAfterMs }),
    });
  }
  return new Fault(codeOfStatus(status), `${where} answered ${status} and not in the form of a Cellar server`, {
    reason: 'foreign_answer',
    hint: 'Check that the address is that of a Cellar server, and what stands between.',
  });
}

function codeOfStatus(status: number): Code {
  if (status === 401) return Code.Unauthenticated;
  if (status === 403) return Code.PermissionDenied;
  if (status === 404) return Code.NotFound;
  if (status === 429) return Code.ResourceExhausted;
  if (status === 502 || status === 503 || status === 504) return Code.Unavailable;
  if (status === 507) return Code.ResourceExhausted;
  return status >= 500 ? Code.Internal : Code.Unknown;
}
