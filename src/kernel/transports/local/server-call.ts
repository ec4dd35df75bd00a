import type { Incoming } from '../../calls/call.ts';
import type { Caller } from '../../calls/caller.ts';
import type { Trace } from '../../calls/trace.ts';
import { Code, Fault } from '../../fault.ts';
import type { CallHead } from './call-head.ts';
import type { Credit } from './credit.ts';
import type { Inbox } from './inbox.ts';

/** A call under way at its server. Its signal is made on first use, since most calls end without one. */
export class ServerCall implements Incoming {
  readonly caller: Caller;
  readonly timeoutMs: number | undefined;
  readonly trace: Trace;
  readonly idempotencyKey: string;
  /** What the client streams, and what may be streamed to it. */
  inbox: Inbox | undefined;
  credit: Credit | undefined;
  #controller: AbortController | undefined;
  #reason: Fault | undefined;

  constructor(head: CallHead) {
    this.caller = head.caller;
    this.timeoutMs = head.timeoutMs;
    this.trace = head.trace;
    this.idempotencyKey = head.idempotencyKey;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#reason) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** The client does not wait any more. */
  cancel(why: string): void {
    const reason = new Fault(Code.Canceled, why);
    this.#reason = reason;
    this.#controller?.abort(reason);
    this.inbox?.abort(reason);
    this.credit?.stop();
  }
}
