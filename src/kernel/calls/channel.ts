import type { Message } from '@bufbuild/protobuf';
import type { Caller } from './caller.ts';
import type { Method } from './contract.ts';
import type { Trace } from './trace.ts';

/** What a client sends beside a request, the same on every transport. */
export interface Outgoing {
  readonly caller: Caller;
  /** Time left. Unit: milliseconds; undefined: none. */
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly trace: Trace;
  readonly idempotencyKey: string;
  /** The instance meant, such as `cellar.grpc.data.index.docs`. */
  readonly service: string;
}

/**
 * A way to one process that serves calls. Three kinds: direct (same process), local (Unix socket), gRPC (other machines).
 *
 * Both verbs reject with a `Fault`: the one the service threw, or `unavailable` when the peer is away, `deadline_exceeded`
 * when `timeoutMs` passes without an answer whatever the peer does, `canceled` when `signal` aborts.
 * Messages are shared in one process: neither side changes a message it has passed on.
 */
export interface Channel {
  /** Where it leads, for messages and metrics: `direct`, `unix:/path`, `grpc:host:port`. */
  readonly address: string;
  unary(method: Method, request: Message, outgoing: Outgoing): Promise<Message>;
  /**
   * Any call with a stream on either side. `requests` is one message or many, as the method's kind says; a method that answers once
   * yields once. Back-pressure: the producer is not read further ahead than a bounded window. Leaving the loop early cancels the call.
   */
  stream(method: Method, requests: Message | AsyncIterable<Message>, outgoing: Outgoing): AsyncIterable<Message>;
  close(): Promise<void>;
}
