import type { Message } from '@bufbuild/protobuf';
import { Agent } from '#gen/cellar/fleet/v1/agent_pb.ts';
import type { Call } from '#kernel/calls/call.ts';
import type { Caller } from '#kernel/calls/caller.ts';
import type { Channel, Outgoing } from '#kernel/calls/channel.ts';
import { type Method, readContract } from '#kernel/calls/contract.ts';
import type { Binding } from '#kernel/calls/dispatcher.ts';
import { Code, Fault, invalidArgument, unavailable } from '#kernel/fault.ts';
import { agentService } from '../../common/services.ts';

/** The way to the agent of a host that can do a method. Errors: `unavailable` with reason `engine_unreachable`; `unimplemented`. */
export type Reach = (host: string, method: Method) => Promise<Channel>;

/**
 * Every method of the agent's contract, passed on to the agent of the host that the request names: its deadline, its cancellation and
 * its streams go on as they are, also those of methods that come later.
 */
export function forwardRpc(reach: Reach, caller: Caller): Binding {
  const contract = readContract(Agent);
  const outgoing = ({ deadlineMs, timeLeftMs, signal, trace, idempotencyKey }: Call): Outgoing => ({
    ...{ caller, signal, idempotencyKey, trace: trace.child(), service: agentService },
    timeoutMs: deadlineMs === Number.POSITIVE_INFINITY ? undefined : timeLeftMs,
  });

  const unary = (method: Method) => async (request: unknown, call: Call) => {
    const host = hostOf(request);
    const channel = await reach(host, method);
    try {
      return await channel.unary(method, request as Message, outgoing(call));
    } catch (error) {
      throw unreachable(host, error);
    }
  };

  const stream = (method: Method) =>
    async function* (requests: unknown, call: Call) {
      const { host, messages } = await opened(method, requests);
      const channel = await reach(host, method);
      try {
        yield* channel.stream(method, messages, outgoing(call));
      } catch (error) {
        throw unreachable(host, error);
      }
    };

  const handlerOf = (method: Method) => {
    if (method.kind === 'unary') return unary(method);
    if (method.kind !== 'client_streaming') return stream(method);
    return async (requests: unknown, call: Call) => {
      for await (const answer of stream(method)(requests, call)) return answer;
      throw new Fault(Code.Internal, `${method.name} ended without an answer`);
    };
  };
  return { contract, handlers: new Map(contract.methods.map((method) => [method.name, handlerOf(method)])) };
}

/** The host that a call is about; of a stream its first request names it. */
async function opened(
  method: Method,
  requests: unknown,
): Promise<{ readonly host: string; readonly messages: Message | AsyncIterable<Message> }> {
  if (method.kind === 'server_streaming') return { host: hostOf(requests), messages: requests as Message };
  const iterator = (requests as AsyncIterable<Message>)[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done) throw invalidArgument('The request names no engine');
  return {
    host: hostOf(first.value),
    messages: (async function* () {
      try {
        yield first.value;
        for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
      } finally {
        await iterator.return?.();
      }
    })(),
  };
}

/** All requests name an engine; one of a stream names it within what it is about. */
interface Named {
  readonly engine?: { readonly host: string };
}

function hostOf(request: unknown): string {
  const { engine: own, target } = request as Named & { readonly target?: Named };
  const engine = own ?? target?.engine;
  if (!engine) throw invalidArgument('The request names no engine');
  return engine.host;
}

/** A connection that is lost says nothing about the engine behind it: it is out of reach. */
function unreachable(host: string, error: unknown): unknown {
  const fault = Fault.from(error);
  const { code, reason, message } = fault;
  if (code !== Code.Unavailable || reason === 'engine_unreachable') return fault;
  return unavailable(`Host "${host}" is out of reach: ${message}`, { reason: 'engine_unreachable', cause: error });
}
