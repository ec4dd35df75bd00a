import type { Message } from '@bufbuild/protobuf';
import { Client, type ClientReadableStream, connectivityState, type ServiceError } from '@grpc/grpc-js';
import { deadlineFault } from '../../calls/call.ts';
import type { Channel, Outgoing } from '../../calls/channel.ts';
import type { Method } from '../../calls/contract.ts';
import { Code, Fault, unavailable } from '../../fault.ts';
import type { TlsIdentity } from '../ca/tls.ts';
import { Circuit, unreachable } from '../circuit.ts';
import { channelCredentials, greetingName } from './credentials.ts';
import { metadataOf } from './metadata.ts';
import { broken, brokenBytes, type RequestCall, RequestStream } from './request-stream.ts';
import { decode, encode, grpcMessageBytesMax } from './server.ts';
import { faultOf } from './status.ts';

/** The library keeps time-outs in 31 bits. Unit: milliseconds. */
const timerMsMax = 0x7fff_ffff;

export interface GrpcChannelOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsIdentity;
  /** How long connecting may take before calls fail. Default 2000. Unit: milliseconds. */
  readonly connectMsMax?: number;
}

/**
 * The way to the services of another machine. While it cannot be reached calls end `unavailable` at once; a machine that vanished
 * without a word is noticed after some fifteen seconds, or at a call's deadline.
 */
export function createGrpcChannel({ host, port, tls, connectMsMax = 2000 }: GrpcChannelOptions): Channel {
  const target = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const address = `grpc:${target}`;
  const circuit = new Circuit({ pauseMs: 100 });
  const client = new Client(target, channelCredentials(tls, host), {
    'grpc.ssl_target_name_override': greetingName,
    'grpc.max_receive_message_length': grpcMessageBytesMax,
    'grpc.max_send_message_length': grpcMessageBytesMax,
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5000,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1000,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
    'grpc.enable_channelz': 0,
  });
  const closed = new AbortController();
  // Closing ends calls under way, which the library would let go on.
  const underWay = new Set<{ cancel(): void }>();
  let connecting: Promise<void> | undefined;

  const isReady = (): boolean => client.getChannel().getConnectivityState(true) === connectivityState.READY;

  /** Resolves when there is a connection. Errors: `unavailable`, at once while the circuit is open. */
  const connect = async (): Promise<void> => {
    closed.signal.throwIfAborted();
    if (isReady()) return;
    const fault = circuit.fault();
    if (fault) throw fault;
    connecting ??= connected().finally(() => {
      connecting = undefined;
    });
    await connecting;
  };

  const connected = async (): Promise<void> => {
    const deadline = Date.now() + connectMsMax;
    const channel = client.getChannel();
    let seenConnecting = false;
    while (!closed.signal.aborted) {
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY) {
        circuit.succeeded();
        return;
      }
      // What is left of an earlier failure is no answer to this attempt.
      if (state === connectivityState.CONNECTING) seenConnecting = true;
      if (state === connectivityState.TRANSIENT_FAILURE && seenConnecting) break;
      const isLate = await new Promise<boolean>((resolve) =>
        channel.watchConnectivityState(state, deadline, (error?: Error | null) => resolve(Boolean(error))),
      );
      if (isLate) break;
    }
    closed.signal.throwIfAborted();
    const fault = unreachable(address, 'nobody with a certificate of this installation answers there');
    circuit.failed(fault);
    throw fault;
  };

  const optionsOf = ({ timeoutMs }: Outgoing, moreMs = 0): { deadline?: number } =>
    timeoutMs === undefined ? {} : { deadline: Date.now() + Math.min(timerMsMax, Math.max(1, Math.ceil(timeoutMs) + moreMs)) };

  const assertWanted = (method: Method, { signal, timeoutMs }: Outgoing): void => {
    if (signal?.aborted) throw Fault.from(signal.reason);
    if (timeoutMs !== undefined && timeoutMs <= 0) throw deadlineFault(method.name);
  };

  const faultFor = (error: unknown, method: Method, { service, signal }: Outgoing): Fault => {
    if (signal?.aborted) return Fault.from(signal.reason);
    if (closed.signal.aborted) return Fault.from(closed.signal.reason);
    return faultOf(error as ServiceError, { address, methodName: method.name, service });
  };

  const unary: Channel['unary'] = async (method, request, outgoing) => {
    assertWanted(method, outgoing);
    await within(connect(), method, outgoing);
    return await new Promise((resolve, reject) => {
      const { signal } = outgoing;
      const abort = (): void => call.cancel();
      const call = client.makeUnaryRequest(
        `/${method.name}`,
        (message: Message) => encode(method.input, message),
        (bytes: Buffer) => decode(method.output, bytes),
        request,
        metadataOf(outgoing),
        optionsOf(outgoing),
        (error, answer) => {
          underWay.delete(call);
          signal?.removeEventListener('abort', abort);
          if (error) reject(faultFor(error, method, outgoing));
          else if (answer) resolve(answer);
          else reject(new Fault('internal', `${method.name} ended without an answer`));
        },
      );
      underWay.add(call);
      signal?.addEventListener('abort', abort, { once: true });
    });
  };

  async function* stream(
    method: Method,
    requests: Message | AsyncIterable<Message>,
    outgoing: Outgoing,
  ): AsyncGenerator<Message, void, undefined> {
    if (method.kind === 'unary') {
      yield await unary(method, requests as Message, outgoing);
      return;
    }
    assertWanted(method, outgoing);
    await within(connect(), method, outgoing);
    const { signal, timeoutMs } = outgoing;
    const path = `/${method.name}`;
    const decodeAnswer = (bytes: Buffer): Message => decode(method.output, bytes);
    const metadata = metadataOf(outgoing);
    let call: ClientReadableStream<Message>;
    let requestStream: RequestStream | undefined;
    if (method.kind === 'server_streaming') {
      const encodeRequest = (message: Message): Buffer => encode(method.input, message);
      call = client.makeServerStreamRequest(
        path,
        encodeRequest,
        decodeAnswer,
        requests as Message,
        metadata,
        optionsOf(outgoing),
      );
    } else {
      const encodeRequest = (message: Message | typeof broken): Buffer =>
        message === broken ? brokenBytes : encode(method.input, message);
      // The library would end the stream at the deadline as if it were whole, so it comes first here and later there.
      const options = optionsOf(outgoing, 1000);
      // A client stream is a bidirectional one that is answered once: the bytes are the same.
      const duplex: RequestCall = client.makeBidiStreamRequest(path, encodeRequest, decodeAnswer, metadata, options);
      requestStream = new RequestStream(duplex);
      call = duplex;
    }
    let why: Fault | undefined;
    const giveUp = (fault: Fault): void => {
      why ??= fault;
      if (requestStream) requestStream.cancel();
      else call.cancel();
    };
    const ending = { cancel: () => giveUp(Fault.from(closed.signal.reason)) };
    const abort = (): void => giveUp(Fault.from(signal?.reason));
    const timer =
      timeoutMs !== undefined && requestStream
        ? setTimeout(() => giveUp(deadlineFault(method.name)), Math.min(timeoutMs, timerMsMax))
        : undefined;
    underWay.add(ending);
    signal?.addEventListener('abort', abort, { once: true });
    requestStream?.send(requests as AsyncIterable<Message>).catch((error: unknown) => giveUp(Fault.from(error)));
    let isOpen = true;
    try {
      for await (const message of call) yield message as Message;
      isOpen = false;
    } catch (error) {
      isOpen = false;
      throw why ?? faultFor(error, method, outgoing);
    } finally {
      clearTimeout(timer);
      underWay.delete(ending);
      signal?.removeEventListener('abort', abort);
      if (isOpen) {
        // What is left of it when its client leaves is not an error to anybody.
        call.on('error', () => undefined);
        giveUp(new Fault(Code.Canceled, `${method.name} was left by its client`));
      }
      requestStream?.end();
    }
  }

  return {
    address,
    unary,
    stream,
    close: async () => {
      if (closed.signal.aborted) return;
      closed.abort(unavailable(`Cannot call ${address}: its channel is closed`, { reason: 'closed' }));
      for (const call of underWay) call.cancel();
      client.close();
    },
  };
}

/** Waits no longer for a connection than the call may take. */
async function within(connecting: Promise<void>, method: Method, { timeoutMs, signal }: Outgoing): Promise<void> {
  if (timeoutMs === undefined && !signal) return await connecting;
  const given = Promise.withResolvers<never>();
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => given.reject(deadlineFault(method.name)), Math.min(timeoutMs, timerMsMax));
  const abort = (): void => given.reject(Fault.from(signal?.reason));
  signal?.addEventListener('abort', abort, { once: true });
  try {
    await Promise.race([connecting, given.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}
