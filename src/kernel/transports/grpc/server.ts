import { fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import { logVerbosity, Server, setLogVerbosity, type UntypedHandleCall } from '@grpc/grpc-js';
import type { Method } from '../../calls/contract.ts';
import type { Endpoint } from '../../calls/endpoint.ts';
import { failedPrecondition } from '../../fault.ts';
import { type Log, silentLog } from '../../log.ts';
import type { TlsIdentity } from '../ca/tls.ts';
import { serverCredentials } from './credentials.ts';
import { addHealth } from './health.ts';
import { addReflection } from './reflection.ts';
import { handlerOf } from './serve-call.ts';

/** Largest message either way. Unit: bytes. */
export const grpcMessageBytesMax = 16 * 1024 * 1024;

export interface GrpcServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Certificate of this machine. There is no way to listen without: clients must show one of the same CA. */
  readonly tls: TlsIdentity;
  readonly log?: Log;
}

export interface GrpcServer {
  readonly host: string;
  readonly port: number;
  /** Takes no more calls; resolves when those under way have ended, or when `signal` aborts and has ended them. */
  close(signal?: AbortSignal): Promise<void>;
}

const types = {
  unary: 'unary',
  server_streaming: 'serverStream',
  client_streaming: 'clientStream',
  bidi_streaming: 'bidi',
} as const;

/**
 * Serves an endpoint to other machines and other languages, with the standard health and reflection services.
 * Errors: `failed_precondition` when it cannot listen there.
 */
export async function serveGrpc(
  endpoint: Endpoint,
  { host, port, tls, log = silentLog }: GrpcServerOptions,
): Promise<GrpcServer> {
  // What it would write past the log reaches callers as faults.
  if (!process.env['GRPC_VERBOSITY']) setLogVerbosity(logVerbosity.NONE);
  const server = new Server({
    'grpc.max_receive_message_length': grpcMessageBytesMax,
    'grpc.max_send_message_length': grpcMessageBytesMax,
    'grpc.max_concurrent_streams': 1024,
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5000,
    // Calls are counted by the dispatcher.
    'grpc.enable_channelz': 0,
  });
  const register = (): void => {
    for (const contract of endpoint.contracts) for (const method of contract.methods) addMethod(server, endpoint, method);
  };
  register();
  const unwatch = endpoint.watch(register);
  addHealth(server, endpoint);
  addReflection(server, endpoint);
  const target = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(target, serverCredentials(tls), (error, boundPort) => {
      if (!error) resolve(boundPort);
      else
        reject(failedPrecondition(`Cannot listen on ${target}: ${error.message}`, { cause: error, hint: 'Is the port in use?' }));
    });
  });
  log.info('gRPC is served', { host, port: bound });
  return {
    host,
    port: bound,
    close: async (signal) => {
      unwatch();
      const end = (): void => server.forceShutdown();
      const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      if (signal?.aborted) end();
      else signal?.addEventListener('abort', end, { once: true });
      await closed;
      signal?.removeEventListener('abort', end);
    },
  };
}

function addMethod(server: Server, endpoint: Endpoint, method: Method): void {
  server.register(
    `/${method.name}`,
    handlerOf(endpoint, method) as UntypedHandleCall,
    (message: Message) => encode(method.output, message),
    (bytes: Buffer) => decode(method.input, bytes),
    types[method.kind],
  );
}

/** As the library wants it: a `Buffer` over the same memory. */
export function encode(desc: Method['input'], message: Message): Buffer {
  const bytes = toBinary(desc, message);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** From a plain view, so that byte fields have the same type on every transport. */
export function decode(desc: Method['input'], bytes: Buffer): Message {
  return fromBinary(desc, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}
