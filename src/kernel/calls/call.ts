import { Code, Fault } from '../fault.ts';
import type { Caller } from './caller.ts';
import type { Method } from './contract.ts';
import type { Trace } from './trace.ts';

/** What arrives with a request on every transport. */
export interface Incoming {
  readonly caller: Caller;
  /** Time left. Unit: milliseconds; absent: the method's own limit applies. */
  readonly timeoutMs: number | undefined;
  /** Aborts when the client goes away or cancels. */
  readonly signal: AbortSignal | undefined;
  readonly trace: Trace;
  readonly idempotencyKey: string;
}

/** A call being served: the second argument of every handler. */
export class Call {
  readonly method: Method;
  readonly caller: Caller;
  readonly trace: Trace;
  readonly idempotencyKey: string;
  /** On `performance.now()`'s clock. Unit: milliseconds; Infinity when there is none. */
  readonly deadlineMs: number;
  readonly #incoming: Incoming;
  #upstream: AbortSignal | undefined;
  #controller: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #forward: (() => void) | undefined;

  constructor(method: Method, incoming: Incoming, nowMs: number) {
    this.method = method;
    this.caller = incoming.caller;
    this.trace = incoming.trace;
    this.idempotencyKey = incoming.idempotencyKey;
    this.#incoming = incoming;
    const timeoutMs = incoming.timeoutMs ?? (method.timeoutMs || Number.POSITIVE_INFINITY);
    this.deadlineMs = nowMs + timeoutMs;
  }

  /** Unit: milliseconds; at least 0. */
  get timeLeftMs(): number {
    return Math.max(0, this.deadlineMs - performance.now());
  }

  /** Aborts at the deadline, or when the client cancels. Made on first use: most handlers never wait. */
  get signal(): AbortSignal {
    if (this.#controller) return this.#controller.signal;
    const controller = new AbortController();
    this.#controller = controller;
    // Read here and not before: transports make the signal on first use as well.
    const upstream = this.#incoming.signal;
    this.#upstream = upstream;
    if (upstream?.aborted) {
      controller.abort(upstream.reason);
      return controller.signal;
    }
    if (upstream) {
      this.#forward = () => controller.abort(upstream.reason);
      upstream.addEventListener('abort', this.#forward, { once: true });
    }
    if (this.deadlineMs !== Number.POSITIVE_INFINITY) {
      const late = (): void => controller.abort(deadlineFault(this.method.name));
      const leftMs = this.timeLeftMs;
      if (leftMs <= 0) late();
      else this.#timer = setTimeout(late, Math.min(leftMs, 0x7fff_ffff)).unref();
    }
    return controller.signal;
  }

  /** Ends the call: nothing of it stays behind in timers or listeners. */
  end(): void {
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#forward) this.#upstream?.removeEventListener('abort', this.#forward);
  }
}

export function deadlineFault(method: string): Fault {
  return new Fault(Code.DeadlineExceeded, `${method} took longer than its deadline`);
}
