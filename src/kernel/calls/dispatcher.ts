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
import { Code, Fault, invalidArgument, unavailable } from '../fault.ts';
import type { Log } from '../log.ts';
import type { KeptAnswers } from './answers.ts';
import { Call, deadlineFault, type Incoming } from './call.ts';
import { assertMayCall } from './caller.ts';
import { type Contract, type Method, readContract } from './contract.ts';

type Init<D extends DescMessage> = MessageInitShape<D> | MessageShape<D>;

/** One method as a service implements it. Unary and client streams may answer at once or by promise. */
export type Handler<M extends DescMethod> = M extends {
  methodKind: 'unary';
  input: infer I extends DescMessage;
  output: infer O extends DescMessage;
}
  ? (request: MessageShape<I>, call: Call) => Promise<Init<O>> | Init<O>
  : M extends { methodKind: 'server_streaming'; input: infer I extends DescMessage; output: infer O extends DescMessage }
    ? (request: MessageShape<I>, call: Call) => AsyncIterable<Init<O>>
    : M extends { methodKind: 'client_streaming'; input: infer I extends DescMessage; output: infer O extends DescMessage }
      ? (requests: AsyncIterable<MessageShape<I>>, call: Call) => Promise<Init<O>>
      : M extends { methodKind: 'bidi_streaming'; input: infer I extends DescMessage; output: infer O extends DescMessage }
        ? (requests: AsyncIterable<MessageShape<I>>, call: Call) => AsyncIterable<Init<O>>
        : never;

/** All methods of a contract as a service implements them. */
export type Implementation<S extends DescService> = { readonly [K in keyof S['method']]: Handler<S['method'][K]> };

/** A contract with its implementation, made by `implement`. */
export interface Binding {
  readonly contract: Contract;
  readonly handlers: ReadonlyMap<string, AnyHandler>;
}

type AnyHandler = (request: unknown, call: Call) => unknown;

/** Pairs a contract with its implementation; the compiler checks that no method is missing. */
export function implement<S extends DescService>(desc: S, implementation: Implementation<S>): Binding {
  const contract = readContract(desc);
  const handlers = new Map<string, AnyHandler>();
  for (const method of contract.methods) {
    const handler = (implementation as Record<string, AnyHandler | undefined>)[method.desc.localName];
    if (!handler) throw new Error(`Cannot start: ${method.name} is not implemented.`);
    handlers.set(method.name, handler.bind(implementation));
  }
  return { contract, handlers };
}

/** One finished call, for metrics, traces and audit. */
export interface CallRecord {
  readonly service: string;
  readonly method: Method;
  readonly call: Call;
  /** Undefined when the call succeeded. */
  readonly fault: Fault | undefined;
  /** Unit: milliseconds. */
  readonly durationMs: number;
  /** The request, for audit fields; of client streams the first one, absent when none came. */
  readonly request: Message | undefined;
}

export interface DispatcherOptions {
  /** Name of the service instance. */
  readonly service: string;
  readonly log: Log;
  /** Called once after every call, whatever its outcome; must not throw. */
  readonly observe?: (record: CallRecord) => void;
  /** Where answers of writes with an idempotency key are kept; absent: such keys have no effect. */
  readonly answers?: KeptAnswers;
}

/** A method bound to the code that serves it, behind every check the kernel makes. */
export interface Bound {
  readonly method: Method;
  /** The answer itself when the handler gave it at once: then nothing has to wait. Errors are thrown then, too. */
  unary(request: Message, incoming: Incoming): Message | Promise<Message>;
  stream(requests: Message | AsyncIterable<Message>, incoming: Incoming): AsyncIterable<Message>;
}

/**
 * Serves the calls of one service instance. Every transport ends here, so caller, permission, validation, deadline, metrics and
 * audit are the same on all of them.
 */
export class Dispatcher {
  readonly service: string;
  readonly contracts: readonly Contract[];
  readonly #bound = new Map<string, Bound>();
  readonly #log: Log;
  readonly #observe: ((record: CallRecord) => void) | undefined;
  readonly #answers: KeptAnswers | undefined;
  #inFlight = 0;
  #isDraining = false;
  #whenIdle: (() => void) | undefined;

  constructor(bindings: readonly Binding[], options: DispatcherOptions) {
    this.service = options.service;
    this.#log = options.log;
    this.#observe = options.observe;
    this.#answers = options.answers;
    this.contracts = bindings.map((binding) => binding.contract);
    for (const { contract, handlers } of bindings) {
      for (const method of contract.methods)
        this.#bound.set(method.name, this.#bind(method, handlers.get(method.name) as AnyHandler));
    }
  }

  find(methodName: string): Bound | undefined {
    return this.#bound.get(methodName);
  }

  /** It stops: new calls are refused. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Refuses new calls and resolves when those under way have ended, or when `signal` aborts. */
  async drain(signal: AbortSignal): Promise<void> {
    this.#isDraining = true;
    if (this.#inFlight === 0 || signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  #bind(method: Method, handler: AnyHandler): Bound {
    return {
      method,
      unary: (request, incoming) => this.#unary(method, handler, request, incoming),
      stream: (requests, incoming) => this.#stream(method, handler, requests, incoming),
    };
  }

  #unary(method: Method, handler: AnyHandler, request: Message, incoming: Incoming): Message | Promise<Message> {
    const startMs = performance.now();
    const call = new Call(method, incoming, startMs);
    this.#inFlight++;
    try {
      this.#admit(method, call, startMs);
      assertValid(method, request);
      const isKept = this.#answers && call.idempotencyKey && method.isWrite && !method.hasSecretAnswer;
      const answer = isKept
        ? this.#answers.once(call, request, async () => answerMessage(method, await handler(request, call)))
        : handler(request, call);
      if (isPromise(answer)) return this.#later(method, call, request, answer, startMs);
      const message = answerMessage(method, answer);
      this.#finishUnary(call, request, undefined, startMs);
      return message;
    } catch (error) {
      throw this.#failUnary(call, request, error, startMs);
    }
  }

  async #later(method: Method, call: Call, request: Message, answer: Promise<unknown>, startMs: number): Promise<Message> {
    let message: Message;
    try {
      message = answerMessage(method, await answer);
    } catch (error) {
      throw this.#failUnary(call, request, error, startMs);
    }
    this.#finishUnary(call, request, undefined, startMs);
    return message;
  }

  #failUnary(call: Call, request: Message, error: unknown, startMs: number): Fault {
    const fault = this.#toFault(error, call);
    this.#finishUnary(call, request, fault, startMs);
    return fault;
  }

  #finishUnary(call: Call, request: Message, fault: Fault | undefined, startMs: number): void {
    const { method } = call;
    this.#finish({ service: this.service, method, call, fault, durationMs: performance.now() - startMs, request });
  }

  async *#stream(
    method: Method,
    handler: AnyHandler,
    requests: Message | AsyncIterable<Message>,
    incoming: Incoming,
  ): AsyncGenerator<Message, void, undefined> {
    const startMs = performance.now();
    const call = new Call(method, incoming, startMs);
    this.#inFlight++;
    let fault: Fault | undefined;
    let isWhole = false;
    const single = method.kind === 'server_streaming' || method.kind === 'unary' ? (requests as Message) : undefined;
    let first = single;
    const keepFirst = (request: Message): void => {
      first ??= request;
    };
    try {
      this.#admit(method, call, startMs);
      if (single) assertValid(method, single);
      const answer = handler(single ?? validated(method, requests as AsyncIterable<Message>, keepFirst), call);
      if (method.kind === 'client_streaming' || method.kind === 'unary') {
        yield answerMessage(method, await answer);
      } else {
        for await (const message of answer as AsyncIterable<unknown>) {
          // A handler that never looks at its signal still ends with its call.
          if (call.signal.aborted) throw call.signal.reason;
          yield answerMessage(method, message);
        }
      }
      isWhole = true;
    } catch (error) {
      fault = this.#toFault(error, call);
      throw fault;
    } finally {
      if (!isWhole && !fault) fault = new Fault(Code.Canceled, `${method.name} was left by its client`);
      this.#finish({ service: this.service, method, call, fault, durationMs: performance.now() - startMs, request: first });
    }
  }

  #admit(method: Method, call: Call, nowMs: number): void {
    if (this.#isDraining) throw unavailable(`${this.service} is stopping`, { reason: 'stopping', retryAfterMs: 500 });
    if (call.deadlineMs <= nowMs) throw deadlineFault(method.name);
    assertMayCall(method, call.caller);
  }

  #toFault(error: unknown, call: Call): Fault {
    if (error instanceof Fault) return error;
    const aborted = call.signal.aborted ? call.signal.reason : undefined;
    if (aborted instanceof Fault) return aborted;
    const fault = Fault.from(error);
    if (fault.code === Code.Internal) {
      this.#log.error('a call failed unexpectedly', { method: call.method.name, trace: call.trace.traceId, error });
      return new Fault(Code.Internal, `Internal error; the log of ${this.service} has it under trace ${call.trace.traceId}`, {
        cause: error,
      });
    }
    return fault;
  }

  #finish(record: CallRecord): void {
    record.call.end();
    this.#inFlight--;
    this.#observe?.(record);
    if (this.#inFlight === 0) this.#whenIdle?.();
  }
}

function assertValid(method: Method, request: Message): void {
  const violations = method.validate(request);
  if (violations.length === 0) return;
  const [first] = violations;
  const rest = violations.length > 1 ? ` (and ${violations.length - 1} more)` : '';
  throw invalidArgument(`Cannot call ${method.name}: ${first?.field} ${first?.message}${rest}`, {
    reason: 'invalid_request',
    violations,
  });
}

async function* validated(
  method: Method,
  requests: AsyncIterable<Message>,
  see: (request: Message) => void,
): AsyncGenerator<Message, void, undefined> {
  for await (const request of requests) {
    see(request);
    assertValid(method, request);
    yield request;
  }
}

function answerMessage(method: Method, answer: unknown): Message {
  if (isMessage(answer)) return answer;
  return create(method.output, answer as MessageInitShape<DescMessage>) as Message;
}

function isPromise(value: unknown): value is Promise<unknown> {
  return value instanceof Promise;
}
