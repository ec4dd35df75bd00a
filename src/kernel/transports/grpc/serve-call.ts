import { type EventEmitter, once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import type { Message } from '@bufbuild/protobuf';
import type {
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
} from '@grpc/grpc-js';
import type { Incoming } from '../../calls/call.ts';
import { type Caller, serviceCaller } from '../../calls/caller.ts';
import type { Method } from '../../calls/contract.ts';
import type { Bound } from '../../calls/dispatcher.ts';
import type { Endpoint } from '../../calls/endpoint.ts';
import { untilAborted } from '../../calls/until-aborted.ts';
import { Code, Fault, unauthenticated } from '../../fault.ts';
import { readMetadata } from './metadata.ts';
import { statusOf } from './status.ts';

type Unary = ServerUnaryCall<Message, Message>;
type ServerStream = ServerWritableStream<Message, Message>;
type ClientStream = ServerReadableStream<Message, Message>;
type Bidi = ServerDuplexStream<Message, Message>;
type AnyCall = Unary | ServerStream | ClientStream | Bidi;
type Answer = sendUnaryData<Message>;

/** The handler gRPC wants for a method; which instance serves it is decided for each call. */
export function handlerOf(endpoint: Endpoint, method: Method) {
  switch (method.kind) {
    case 'unary':
      return (call: Unary, answer: Answer): void => {
        const serve = async (): Promise<Message> => {
          const { bound, incoming } = admit(endpoint, method, call);
          return await bound.unary(call.request, incoming);
        };
        serve().then(
          (message) => answer(null, message),
          (error: unknown) => answer(statusOf(error)),
        );
      };
    case 'client_streaming':
      return (call: ClientStream, answer: Answer): void => {
        const serve = async (): Promise<Message> => {
          const { bound, incoming } = admit(endpoint, method, call);
          for await (const message of bound.stream(requestsOf(call, incoming.signal), incoming)) return message;
          throw new Fault(Code.Internal, `${method.name} ended without an answer`);
        };
        serve().then(
          (message) => answer(null, message),
          (error: unknown) => answer(statusOf(error)),
        );
      };
    case 'server_streaming':
    case 'bidi_streaming':
      return (call: ServerStream | Bidi): void => {
        sendAll(endpoint, method, call).then(
          () => call.end(),
          (error: unknown) => call.emit('error', statusOf(error)),
        );
      };
  }
}

async function sendAll(endpoint: Endpoint, method: Method, call: ServerStream | Bidi): Promise<void> {
  const { bound, incoming } = admit(endpoint, method, call);
  const requests =
    'request' in call && method.kind === 'server_streaming' ? call.request : requestsOf(call as Bidi, incoming.signal);
  const { signal } = incoming;
  const answers = bound.stream(requests, incoming)[Symbol.asyncIterator]();
  // The dispatcher reports what a given-up handler throws.
  const leave = (): void => void answers.return?.().then(undefined, () => undefined);
  signal.addEventListener('abort', leave, { once: true });
  while (true) {
    const next = await answers.next();
    if (signal.aborted) throw signal.reason;
    if (next.done) return;
    if (!call.write(next.value)) await once(call, 'drain', { signal });
  }
}

interface Admitted {
  readonly bound: Bound;
  readonly incoming: Incoming & { readonly signal: AbortSignal };
}

function admit(endpoint: Endpoint, method: Method, call: AnyCall): Admitted {
  const stated = readMetadata(call.metadata);
  const controller = new AbortController();
  const events: EventEmitter = call;
  events.on('cancelled', () => controller.abort(new Fault(Code.Canceled, 'The call was cancelled by its client')));
  const deadline = call.getDeadline();
  const leftMs = Number(deadline) - Date.now();
  return {
    bound: endpoint.require(stated.service, method.name),
    incoming: {
      // Only machines of the platform have a certificate of its CA: what they state is believed.
      caller: stated.caller ?? subjectOf(call),
      timeoutMs: Number.isFinite(leftMs) ? Math.max(0, leftMs) : undefined,
      signal: controller.signal,
      trace: stated.trace,
      idempotencyKey: stated.idempotencyKey,
    },
  };
}

/** The peer itself, by its certificate. Errors: `unauthenticated`. */
function subjectOf(call: AnyCall): Caller {
  const name: unknown = call.getAuthContext()?.sslPeerCertificate?.subject.CN;
  if (typeof name !== 'string' || name === '') throw unauthenticated('Cannot tell who calls: the certificate names nobody');
  return serviceCaller(name);
}

/** What the client streams. A handler that leaves it early leaves the call alive: its answer is still to be sent. */
async function* requestsOf(call: ClientStream | Bidi, signal: AbortSignal): AsyncGenerator<Message, void, undefined> {
  yield* untilAborted<Message>(call.iterator({ destroyOnReturn: false }), signal);
  // Node ends a stream that was reset as if it were whole; the library looks whether it was reset when it is asked to read on.
  call._read(0);
  await setImmediate();
  signal.throwIfAborted();
}
