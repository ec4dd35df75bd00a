import { chmod, mkdir, rm } from 'node:fs/promises';
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import {
  createServer as createSecureServer,
  Agent as SecureAgent,
  type Server as SecureServer,
  request as secureRequest,
} from 'node:https';
import type { ListenOptions } from 'node:net';
import { dirname } from 'node:path';
import { unavailable } from '../fault.ts';
import type { Registry } from '../services/registry.ts';
import type { HttpHandler, Micro } from '../services/service.ts';
import type { TlsIdentity } from '../transports/ca/tls.ts';
import { clientOf, formatClient, parseClient, tellClient } from './client-of.ts';

/** Says which service of the process is meant, when it has several. */
const serviceHeader = 'x-cellar-service';
/** Says who the client is, to those who only see our own gateway. */
const clientHeader = 'x-cellar-client';

/** Unit: bytes. */
const maxHeaderSize = 64 * 1024;

/** Headers that belong to one connection. Source: RFC 9110, 7.6.1. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  serviceHeader,
  clientHeader,
]);

/** Where raw HTTP is served: for processes of this machine, or for other machines, which show a certificate of the same CA. */
export type HttpPlace = { readonly path: string } | { readonly host: string; readonly port: number; readonly tls: TlsIdentity };

export interface HttpService {
  /** Of a place with a host; else 0. */
  readonly port: number;
  readonly close: () => Promise<void>;
}

/** Serves raw HTTP of this process's services, for the gateway in another process. */
export async function serveHttp(place: HttpPlace, handlers: ReadonlyMap<string, HttpHandler>): Promise<HttpService> {
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const name = request.headers[serviceHeader];
    const client = parseClient(String(request.headers[clientHeader] ?? ''));
    if (client) tellClient(request, client);
    const handler = typeof name === 'string' ? handlers.get(name) : handlers.values().next().value;
    if (!handler) {
      response.writeHead(503, { 'retry-after': '1', 'content-type': 'text/plain' }).end('The service is not running here.\n');
      return;
    }
    void handler(request, response);
  };
  // Bodies of any length may come: how long they take is bounded at the edge, which sees the real client.
  // So is the size of heads, which are a little longer here than there.
  const options = { requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0, highWaterMark: 256 * 1024, maxHeaderSize };
  const server = 'path' in place ? createServer(options, handle) : secureServer(place.tls, options, handle);
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    continueOnRead(request, response);
    handle(request, response);
  });
  // What else is expected nobody knows; S3 answers such requests like any other.
  server.on('checkExpectation', handle);
  if ('path' in place) {
    await mkdir(dirname(place.path), { recursive: true, mode: 0o700 });
    await rm(place.path, { force: true });
  }
  await listen(server, 'path' in place ? { path: place.path } : { host: place.host, port: place.port });
  if ('path' in place) await chmod(place.path, 0o600);
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
        setTimeout(() => server.closeAllConnections(), 1000).unref();
      }),
  };
}

/** Only who shows a certificate of the installation's CA is heard. Follows renewals. */
function secureServer(tls: TlsIdentity, options: ServerOptions, handle: RequestListener): SecureServer {
  const server = createSecureServer({ ...options, ...tls.material, requestCert: true, rejectUnauthorized: true }, handle);
  const unwatch = tls.watch((material) => server.setSecureContext(material));
  server.once('close', unwatch);
  return server;
}

/**
 * Answers `Expect: 100-continue` when the handler first reads the body, so that a request refused by its headers alone is never
 * asked for its body. For servers with a `checkContinue` listener.
 */
export function continueOnRead(request: IncomingMessage, response: ServerResponse): void {
  const read = request._read.bind(request);
  request._read = (size) => {
    request._read = read;
    if (!response.headersSent) response.writeContinue();
    read(size);
  };
}

export interface ForwardOptions {
  readonly registry: Registry;
  /** Of this process, by service. */
  readonly handlers: ReadonlyMap<string, HttpHandler>;
  /** To reach other machines. */
  readonly tls: TlsIdentity | undefined;
}

type Peer = { readonly agent: Agent | undefined } & (
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number }
);

/**
 * Hands raw requests to whoever serves them: in this process directly, in another over its Unix socket, streaming both ways.
 * The client leaving ends the request there; the service dying before it answered rejects with `unavailable`, afterwards the
 * response is cut off.
 */
export function createForward({ registry, handlers, tls }: ForwardOptions): { forward: Micro['forward']; close(): void } {
  const pool = { keepAlive: true, maxSockets: 256, maxFreeSockets: 32, timeout: 0 };
  const agent = new Agent(pool);
  const secureAgent = tls && new SecureAgent({ ...pool, ...tls.material });
  const unwatch = tls?.watch((material) => Object.assign(secureAgent?.options ?? {}, material));
  const forward: Micro['forward'] = async (service, request, response) => {
    const handler = handlers.get(service);
    if (handler) return handler(request, response);
    const address = registry.get(service)?.http;
    if (address === undefined || address.kind === 'direct') throw away(service, 'it is not running');
    if (address.kind === 'grpc' && !secureAgent) throw away(service, 'this machine has no certificate');
    const peer =
      address.kind === 'local'
        ? { agent, socketPath: address.path }
        : { agent: secureAgent, host: address.host, port: address.port };
    try {
      await pass(peer, service, request, response);
    } catch (error) {
      // A kept connection may have been closed by a peer that restarted; without a body the request can simply be sent again.
      if (!(error instanceof StaleConnection)) throw error;
      await pass(peer, service, request, response);
    }
  };
  return {
    forward,
    close: () => {
      agent.destroy();
      secureAgent?.destroy();
      unwatch?.();
    },
  };
}

class StaleConnection extends Error {}

function pass(peer: Peer, service: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const isOpenEnded = request.headers['transfer-encoding'] !== undefined || (request.httpVersionMajor >= 2 && !request.complete);
  const isChunked = request.headers['content-length'] === undefined && isOpenEnded;
  const hasBody = isChunked || (request.headers['content-length'] ?? '0') !== '0';
  const send = 'socketPath' in peer ? httpRequest : secureRequest;
  const sent = endToEnd(request.rawHeaders);
  // Node sends a head with `Expect` at once and as UTF-8, which changes bytes beyond ASCII in it: such a body is just read.
  const isPlain = !sent.some((text) => /[^\t\x20-\x7e]/.test(text));
  const isExpecting = isPlain && request.headers.expect?.toLowerCase() === '100-continue';
  const upstream = send({
    ...peer,
    method: request.method,
    path: request.url,
    // Said for every method: else Node sends the body of a GET or DELETE without its length, and the peer takes it for a next request.
    headers: [
      ...(isPlain ? sent : without(sent, 'expect')),
      ...(isChunked ? ['transfer-encoding', 'chunked'] : []),
      ...[serviceHeader, service, clientHeader, formatClient(clientOf(request))],
    ],
    setHost: false,
  });
  const onClientGone = (): void => {
    if (!response.writableFinished) upstream.destroy();
  };
  response.once('close', onClientGone);
  const end = (error?: Error): void => {
    response.off('close', onClientGone);
    if (error) reject(error);
    else resolve();
  };
  upstream.once('error', (cause: NodeJS.ErrnoException) => {
    if (response.headersSent) {
      response.destroy();
      end();
    } else if (response.destroyed) {
      end();
    } else if (upstream.reusedSocket && !hasBody && (cause.code === 'ECONNRESET' || cause.code === 'EPIPE')) {
      end(new StaleConnection());
    } else {
      request.unpipe(upstream);
      end(away(service, 'it ended or does not answer', cause));
    }
  });
  upstream.once('response', (answer) => {
    if (response.destroyed) {
      answer.destroy();
      return;
    }
    response.writeHead(answer.statusCode ?? 502, endToEnd(answer.rawHeaders));
    answer.once('error', () => response.destroy());
    answer.once('aborted', () => response.destroy());
    // Answered by the headers alone: the body is not wanted, and the connection cannot be used again.
    answer.once('end', () => {
      if (!upstream.writableEnded) upstream.destroy();
    });
    answer.pipe(response);
    response.once('close', () => end());
  });
  if (!hasBody) upstream.end();
  else if (isExpecting) {
    upstream.once('continue', () => {
      // Reading the body is what makes our own server say `100 Continue`.
      request.pipe(upstream);
    });
    upstream.flushHeaders();
  } else request.pipe(upstream);
  request.once('aborted', () => upstream.destroy());
  return promise;
}

/** Of HTTP/2 the authority is the host; its other pseudo-headers are part of the request line. Source: RFC 9113, 8.3.1. */
function endToEnd(raw: readonly string[]): string[] {
  const out: string[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] === ':authority' ? 'host' : (raw[index] as string);
    if (!name.startsWith(':') && !hopByHop.has(name.toLowerCase())) out.push(name, raw[index + 1] as string);
  }
  return out;
}

/** Headers without one of them. */
const without = (headers: readonly string[], name: string): string[] =>
  headers.filter((_, index) => headers[index - (index % 2)]?.toLowerCase() !== name);

function away(service: string, why: string, cause?: unknown): Error {
  return unavailable(`Cannot reach ${service}: ${why}`, {
    reason: 'not_running',
    retryAfterMs: 500,
    ...(cause ? { cause } : {}),
  });
}

async function listen(server: Server | SecureServer, place: ListenOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(place, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
