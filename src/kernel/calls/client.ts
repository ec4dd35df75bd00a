import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  isMessage,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { Code, Fault } from '../fault.ts';
import type { Call } from './call.ts';
import { anybody, type Caller, callerVia } from './caller.ts';
import type { Channel, Outgoing } from './channel.ts';
import { type Method, readContract } from './contract.ts';
import { Trace } from './trace.ts';

export interface CallOptions {
  /** The call being served: its caller, deadline, trace and cancellation go on. */
  readonly call?: Call;
  /** On whose behalf; default: the call's caller, else the client's own. */
  readonly caller?: Caller;
  /** Unit: milliseconds. Default: the method's; never longer than what is left of `call`. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly idempotencyKey?: string;
  /** Of a request that came from outside; default: a child of the call's, else a new one. */
  readonly trace?: Trace;
}

type Init<D extends DescMessage> = MessageInitShape<D> | MessageShape<D>;
type Requests<D extends DescMessage> = AsyncIterable<Init<D>>;

export type ClientMethod<M extends DescMethod> = M extends {
  methodKind: 'unary';
  input: infer I extends DescMessage;
  output: infer O extends DescMessage;
}
  ? (request: Init<I>, options?: CallOptions) => Promise<MessageShape<O>>
  : M extends { methodKind: 'server_streaming'; input: infer I extends DescMessage; output: infer O extends DescMessage }
    ? (request: Init<I>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
    : M extends { methodKind: 'client_streaming'; input: infer I extends DescMessage; output: infer O extends DescMessage }
      ? (requests: Requests<I>, options?: CallOptions) => Promise<MessageShape<O>>
      : M extends { methodKind: 'bidi_streaming'; input: infer I extends DescMessage; output: infer O extends DescMessage }
        ? (requests: Requests<I>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
        : never;

/** A typed client: one function per method of the contract. Its errors are `Fault`s. */
export type Client<S extends DescService> = { readonly [K in keyof S['method']]: ClientMethod<S['method'][K]> };

/** A way to an instance that serves a contract. */
export interface Route {
  readonly channel: Channel;
  readonly service: string;
}

export interface ClientOptions {
  /**
   * Finds the way to the contract's service, for every attempt anew. Errors: `unavailable` when nobody serves it now. Synchronous when it
   * can be, since it is on the path of every call.
   */
  readonly route: () => Route | Promise<Route>;
  /** Who calls when no `caller` and no `call` is given. */
  readonly caller?: Caller;
  /** Name of the service that owns the client; becomes the caller's `via`. */
  readonly via?: string;
  readonly retry?: RetryOptions;
}

export interface RetryOptions {
  /** Attempts in all, for idempotent methods only. */
  readonly attemptsMax: number;
  /** Waits before the second attempt; doubles after. Unit: milliseconds. */
  readonly delayMs: number;
  /** Resolves after `ms`, or rejects when the signal aborts. */
  readonly wait: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
  /** Asked before each retry: false when too large a share of recent calls were retries. */
  readonly mayRetry: () => boolean;
}

export function createClient<S extends DescService>(desc: S, options: ClientOptions): Client<S> {
  const client: Record<string, unknown> = {};
  for (const method of readContract(desc).methods) client[method.desc.localName] = clientMethod(method, options);
  return client as unknown as Client<S>;
}

function clientMethod(method: Method, options: ClientOptions): unknown {
  switch (method.kind) {
    case 'unary':
      return (request: unknown, callOptions?: CallOptions) =>
        unary(method, toMessage(method.input, request), options, callOptions);
    case 'server_streaming':
      return (request: unknown, callOptions?: CallOptions) =>
        stream(method, toMessage(method.input, request), options, callOptions);
    case 'client_streaming':
      return (requests: AsyncIterable<unknown>, callOptions?: CallOptions) =>
        only(method, stream(method, messages(method, requests), options, callOptions));
    case 'bidi_streaming':
      return (requests: AsyncIterable<unknown>, callOptions?: CallOptions) =>
        stream(method, messages(method, requests), options, callOptions);
  }
}

async function unary(
  method: Method,
  request: Message,
  options: ClientOptions,
  callOptions: CallOptions | undefined,
): Promise<Message> {
  const { retry } = options;
  const attemptsMax = retry && method.isIdempotent ? retry.attemptsMax : 1;
  for (let attempt = 1; ; attempt++) {
    try {
      const found = options.route();
      const route = found instanceof Promise ? await found : found;
      return await route.channel.unary(method, request, outgoingOf(method, options, callOptions, route.service));
    } catch (error) {
      const fault = Fault.from(error);
      if (attempt >= attemptsMax || fault.code !== Code.Unavailable || !retry?.mayRetry()) throw fault;
      const delayMs = (fault.retryAfterMs ?? retry.delayMs * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
      if (callOptions?.call && callOptions.call.timeLeftMs < delayMs) throw fault;
      await retry.wait(delayMs, callOptions?.signal ?? callOptions?.call?.signal);
    }
  }
}

async function* stream(
  method: Method,
  requests: Message | AsyncIterable<Message>,
  options: ClientOptions,
  callOptions: CallOptions | undefined,
): AsyncGenerator<Message, void, undefined> {
  const route = await options.route();
  yield* route.channel.stream(method, requests, outgoingOf(method, options, callOptions, route.service));
}

async function only(method: Method, answers: AsyncIterable<Message>): Promise<Message> {
  for await (const answer of answers) return answer;
  throw new Fault(Code.Internal, `${method.name} ended without an answer`);
}

function outgoingOf(method: Method, options: ClientOptions, callOptions: CallOptions | undefined, service: string): Outgoing {
  const call = callOptions?.call;
  const own = callOptions?.timeoutMs ?? (method.timeoutMs || undefined);
  const left = call && call.deadlineMs !== Number.POSITIVE_INFINITY ? call.timeLeftMs : undefined;
  const caller = callOptions?.caller ?? call?.caller ?? options.caller ?? anybody;
  return {
    caller: options.via && caller.via !== options.via && caller !== options.caller ? callerVia(caller, options.via) : caller,
    timeoutMs: own === undefined ? left : left === undefined ? own : Math.min(own, left),
    signal: callOptions?.signal ?? call?.signal,
    trace: callOptions?.trace ?? (call ? call.trace.child() : new Trace()),
    idempotencyKey: callOptions?.idempotencyKey ?? '',
    service,
  };
}

function toMessage(desc: DescMessage, value: unknown): Message {
  return isMessage(value, desc) ? value : create(desc, value as MessageInitShape<DescMessage>);
}

async function* messages(method: Method, requests: AsyncIterable<unknown>): AsyncGenerator<Message, void, undefined> {
  for await (const request of requests) yield toMessage(method.input, request);
}
