import type { Message } from '@bufbuild/protobuf';
import { Code, Fault } from '../fault.ts';
import { deadlineFault, type Incoming } from './call.ts';
import type { Channel, Outgoing } from './channel.ts';
import type { Method } from './contract.ts';
import { deadlines } from './deadlines.ts';
import type { Bound } from './dispatcher.ts';
import type { Endpoint } from './endpoint.ts';
import { untilAborted } from './until-aborted.ts';

/** A longer timer would ring at once. Unit: milliseconds. */
const timerMsMax = 0x7fff_ffff;

/** The way to services of the same process: the same checks as across a socket, without socket or encoding. */
export function createDirectChannel(endpoint: Endpoint): Channel {
  return {
    address: 'direct',
    unary: async (method, request, outgoing) => {
      if (outgoing.signal?.aborted) throw Fault.from(outgoing.signal.reason);
      const answer = endpoint.require(outgoing.service, method.name).unary(request, outgoing);
      if (!(answer instanceof Promise) || (outgoing.timeoutMs === undefined && !outgoing.signal)) return answer;
      return await withinDeadline(answer, method, outgoing);
    },
    stream: (method, requests, outgoing) =>
      interruptible(endpoint.require(outgoing.service, method.name), requests, method, outgoing),
    close: async () => undefined,
  };
}

/** The caller gets its answer by the deadline even when the handler ignores its signal. */
function withinDeadline(answer: Promise<Message>, method: Method, { timeoutMs, signal }: Outgoing): Promise<Message> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      end();
      reject(Fault.from(signal?.reason));
    };
    const deadline =
      timeoutMs === undefined
        ? undefined
        : deadlines.add(timeoutMs, () => {
            end();
            reject(deadlineFault(method.name));
          });
    const end = (): void => {
      if (deadline) deadlines.delete(deadline);
      signal?.removeEventListener('abort', abort);
    };
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort, { once: true });
    answer.then(
      (message) => {
        end();
        resolve(message);
      },
      (error: unknown) => {
        end();
        reject(error);
      },
    );
  });
}

async function* interruptible(
  found: Bound,
  requests: Message | AsyncIterable<Message>,
  method: Method,
  outgoing: Outgoing,
): AsyncGenerator<Message, void, undefined> {
  const controller = new AbortController();
  const upstream = outgoing.signal;
  if (upstream?.aborted) throw Fault.from(upstream.reason);
  const forward = (): void => controller.abort(upstream?.reason);
  upstream?.addEventListener('abort', forward, { once: true });
  const late = (): void => controller.abort(deadlineFault(method.name));
  const timer = outgoing.timeoutMs === undefined ? undefined : setTimeout(late, Math.min(outgoing.timeoutMs, timerMsMax));
  const { signal } = controller;
  const incoming: Incoming = { ...outgoing, signal };
  const source = isOne(requests) ? requests : untilAborted(requests, signal);
  try {
    yield* untilAborted(found.stream(source, incoming), signal);
  } catch (error) {
    throw Fault.from(error);
  } finally {
    if (timer) clearTimeout(timer);
    upstream?.removeEventListener('abort', forward);
    // A handler that ignores its signal must not hold its client; that it was left is reported by the dispatcher.
    controller.abort(new Fault(Code.Canceled, `${method.name} was left by its client`));
  }
}

function isOne(requests: Message | AsyncIterable<Message>): requests is Message {
  return !(Symbol.asyncIterator in requests);
}
