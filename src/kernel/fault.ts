/** What kind of failure a fault is. The words are gRPC's, so each edge can map them by table. */
export const Code = {
  Canceled: 'canceled',
  Unknown: 'unknown',
  InvalidArgument: 'invalid_argument',
  DeadlineExceeded: 'deadline_exceeded',
  NotFound: 'not_found',
  AlreadyExists: 'already_exists',
  PermissionDenied: 'permission_denied',
  ResourceExhausted: 'resource_exhausted',
  FailedPrecondition: 'failed_precondition',
  Aborted: 'aborted',
  OutOfRange: 'out_of_range',
  Unimplemented: 'unimplemented',
  Internal: 'internal',
  Unavailable: 'unavailable',
  DataLoss: 'data_loss',
  Unauthenticated: 'unauthenticated',
} as const;
export type Code = (typeof Code)[keyof typeof Code];

/** One field of a request that broke a rule; `field` is the proto path, such as `user.name`. */
export interface Violation {
  readonly field: string;
  readonly message: string;
}

export interface FaultOptions {
  /** Stable machine word for this case, such as `bucket_missing`; the code when absent. */
  readonly reason?: string;
  /** What the reader can do about it: one sentence. */
  readonly hint?: string;
  readonly violations?: readonly Violation[];
  /** After how many milliseconds a retry makes sense; absent: do not retry unless the code is `unavailable`. */
  readonly retryAfterMs?: number;
  /** What the code that catches it may need, such as the id of what was met; stays in the process. */
  readonly details?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/**
 * The one error class. Its message says what could not be done and why and is safe to show to the caller; the cause goes to
 * the log only. Each edge renders it once: gRPC status, problem+json, S3 XML, one line of the command.
 */
export class Fault extends Error {
  readonly code: Code;
  readonly reason: string;
  readonly hint: string | undefined;
  readonly violations: readonly Violation[];
  readonly retryAfterMs: number | undefined;
  readonly details: Readonly<Record<string, string>>;

  constructor(code: Code, message: string, options: FaultOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Fault';
    this.code = code;
    this.reason = options.reason ?? code;
    this.hint = options.hint;
    this.violations = options.violations ?? [];
    this.retryAfterMs = options.retryAfterMs;
    this.details = options.details ?? {};
  }

  /** True when the same request may succeed later without anybody changing it. */
  get isRetryable(): boolean {
    return this.code === Code.Unavailable || this.retryAfterMs !== undefined;
  }

  /** A fault from anything thrown: faults pass, aborts become `canceled`, the rest `internal` with the cause kept for the log. */
  static from(error: unknown): Fault {
    if (error instanceof Fault) return error;
    if (error instanceof Error && error.name === 'AbortError')
      return new Fault(Code.Canceled, 'The call was cancelled', { cause: error });
    if (error instanceof Error && error.name === 'TimeoutError') {
      return new Fault(Code.DeadlineExceeded, 'The call took longer than its deadline', { cause: error });
    }
    return new Fault(Code.Internal, 'Internal error', { cause: error });
  }
}

export const invalidArgument = (message: string, options?: FaultOptions): Fault =>
  new Fault(Code.InvalidArgument, message, options);
export const notFound = (message: string, options?: FaultOptions): Fault => new Fault(Code.NotFound, message, options);
export const alreadyExists = (message: string, options?: FaultOptions): Fault => new Fault(Code.AlreadyExists, message, options);
export const permissionDenied = (message: string, options?: FaultOptions): Fault =>
  new Fault(Code.PermissionDenied, message, options);
export const unauthenticated = (message: string, options?: FaultOptions): Fault =>
  new Fault(Code.Unauthenticated, message, options);
export const failedPrecondition = (message: string, options?: FaultOptions): Fault =>
  new Fault(Code.FailedPrecondition, message, options);
export const aborted = (message: string, options?: FaultOptions): Fault => new Fault(Code.Aborted, message, options);
export const exhausted = (message: string, options?: FaultOptions): Fault => new Fault(Code.ResourceExhausted, message, options);
export const unavailable = (message: string, options?: FaultOptions): Fault => new Fault(Code.Unavailable, message, options);
