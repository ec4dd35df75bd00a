import type { Message } from '@bufbuild/protobuf';
import type { Method } from '../../calls/contract.ts';
import type { Fault } from '../../fault.ts';
import { decodeMessage } from '../wire.ts';
import { Credit } from './credit.ts';
import { protocolFault } from './frames.ts';
import { Inbox } from './inbox.ts';

/** A call under way at its client: what the connection tells it. Every call ends by exactly one `ended` or `failed`. */
export interface ClientCall {
  readonly method: Method;
  /** On `performance.now()`'s clock; Infinity: none. */
  readonly deadlineMs: number;
  readonly isStream: boolean;
  message(bytes: Uint8Array): void;
  answered(bytes: Uint8Array): void;
  ended(): void;
  /** `isLocal`: found on this side (deadline, cancel, lost connection), so nothing that arrived before matters any more. */
  failed(fault: Fault, isLocal: boolean): void;
  granted(bytes: number): void;
}

export class UnaryCall implements ClientCall {
  readonly method: Method;
  readonly deadlineMs: number;
  readonly isStream = false;
  readonly #resolve: (message: Message) => void;
  readonly #reject: (fault: unknown) => void;
  /** Undoes what the call listens to. */
  onEnd: (() => void) | undefined;

  constructor(method: Method, deadlineMs: number, resolve: (message: Message) => void, reject: (fault: unknown) => void) {
    this.method = method;
    this.deadlineMs = deadlineMs;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  message(): void {
    throw protocolFault('a message of a stream arrived for a call without one');
  }

  answered(bytes: Uint8Array): void {
    this.onEnd?.();
    try {
      this.#resolve(decodeMessage(this.method.output, bytes));
    } catch (error) {
      this.#reject(error);
    }
  }

  ended(): void {
    throw protocolFault('a call ended without an answer');
  }

  failed(fault: Fault): void {
    this.onEnd?.();
    this.#reject(fault);
  }

  granted(): void {
    throw protocolFault('credit arrived for a call without a stream');
  }
}

export class StreamCall implements ClientCall {
  readonly method: Method;
  readonly deadlineMs: number;
  readonly isStream = true;
  readonly inbox: Inbox;
  readonly credit = new Credit();
  onEnd: (() => void) | undefined;

  constructor(method: Method, deadlineMs: number, grant: (bytes: number) => void, leave: () => void) {
    this.method = method;
    this.deadlineMs = deadlineMs;
    this.inbox = new Inbox({ desc: method.output, grant, onLeave: leave });
  }

  message(bytes: Uint8Array): void {
    this.inbox.push(bytes);
  }

  answered(): void {
    throw protocolFault('an answer arrived for a call with streams');
  }

  ended(): void {
    this.#end();
    this.inbox.end();
  }

  failed(fault: Fault, isLocal: boolean): void {
    this.#end();
    if (isLocal) this.inbox.abort(fault);
    else this.inbox.fail(fault);
  }

  granted(bytes: number): void {
    this.credit.grant(bytes);
  }

  #end(): void {
    this.onEnd?.();
    this.credit.stop();
  }
}
