import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createSecureServer, type Http2SecureServer, type Http2Session } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { Fault, failedPrecondition } from '#kernel/fault.ts';
import type { Log } from '#kernel/log.ts';
import { continueOnRead } from '#kernel/process/http.ts';
import { problemOf, problemType } from '#kernel/rest/problem.ts';

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  /** PEM files; both or none. */
  readonly tlsCert: string;
  readonly tlsKey: string;
  readonly connectionsMax: number;
  readonly headerTimeoutMs: number;
  /** How long the rest of a request may take to come that was answered already; default 5 s. */
  readonly restTimeoutMs?: number;
  /** How long a connection without a request stays open; default 60 s. */
  readonly keepAliveMs?: number;
  /** How long nothing may come of a body, or be taken of an answer, where we wait for the client; default 60 s. HTTP/1.1 only. */
  readonly silenceMs?: number;
  /** Must not reject. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => unknown;
  readonly log: Log;
}

export interface Listening {
  /** Such as `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Lets no new connection in and resolves when those there are have ended, or have been ended because `signal` aborted. */
  close(signal: AbortSignal): Promise<void>;
}

/** Names and values together; what is longer is answered with 431. Unit: bytes. */
const headerSizeBytesMax = 32 * 1024;
const keepAliveMsDefault = 60_000;
const restTimeoutMsDefault = 5_000;
const silenceMsDefault = 60_000;

/**
 * Opens the one socket people reach.
 * Errors: `failed_precondition` that says what to do when the port is taken or not ours to take, or a TLS file cannot be used.
 */
export async function listen(options: ListenOptions): Promise<Listening> {
  const { host, port, handle, log, restTimeoutMs = restTimeoutMsDefault, keepAliveMs = keepAliveMsDefault } = options;
  const { silenceMs = silenceMsDefault } = options;
  const isSecure = options.tlsCert !== '' || options.tlsKey !== '';
  const limits = {
    maxHeaderSize: headerSizeBytesMax,
    headersTimeout: options.headerTimeoutMs,
    // An upload may take hours; `silenceMs` bounds how long nothing comes.
    requestTimeout: 0,
    keepAliveTimeout: keepAliveMs,
    connectionsCheckingInterval: 1000,
    // No `highWaterMark`: a larger one costs every small request 7 us. Who sends much keeps more in flight by itself.
  };
  const server: Server | Http2SecureServer = isSecure ? await createTls(options, limits) : createServer(limits);
  const sockets = new Set<Socket>();
  const sessions = new Set<Http2Session>();
  const last = new WeakMap<Socket, ServerResponse>();
  const inOrder = oneByOne(handle, last);
  const serve = (request: IncomingMessage, response: ServerResponse): unknown => {
    const wrong = readTarget(request) ?? wrongCoding(request);
    if (wrong) return refuse(response, ...wrong);
    boundRest(request, response, restTimeoutMs);
    return inOrder(request, response);
  };
  // The compatible API of HTTP/2 has the same shape as far as we use it.
  const events = server as Server;
  events.on('request', serve);
  events.on('checkContinue', (request, response) => {
    continueOnRead(request, response);
    serve(request, response);
  });
  // What else is expected nobody knows; S3 answers such requests like any other.
  events.on('checkExpectation', serve);
  events.on('clientError', refuseMalformed);
  events.setTimeout(silenceMs, (socket: Socket) => {
    // Sessions of HTTP/2 come here too.
    if (!sockets.has(socket)) return;
    if (waitsForUs(socket, last.get(socket))) socket.setTimeout(silenceMs);
    else socket.destroy();
  });
  events.on(isSecure ? 'secureConnection' : 'connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  events.on('session', (session: Http2Session) => {
    sessions.add(session);
    closeWhenIdle(session, keepAliveMs);
    session.once('close', () => sessions.delete(session));
  });
  server.maxConnections = options.connectionsMax;
  await bind(server, host, port);
  events.on('error', (error) => log.error('the listening socket failed', { error }));
  const bound = (server.address() as AddressInfo).port;
  const shownHost = host.includes(':') ? `[${host}]` : host;
  return {
    url: `${isSecure ? 'https' : 'http'}://${shownHost}:${bound}`,
    close: async (signal) => {
      for (const session of sessions) session.close();
      await close(server, sockets, signal);
    },
  };
}

/**
 * Node hands over requests of one HTTP/1.1 connection as they come, and only puts the answers in order; a read that was sent right after a
 * write must see it all the same. Source: RFC 9112, 9.3.2.
 */
function oneByOne(handle: ListenOptions['handle'], last: WeakMap<Socket, ServerResponse>): ListenOptions['handle'] {
  return (request, response) => {
    if (request.httpVersionMajor >= 2) return handle(request, response);
    const before = last.get(request.socket);
    last.set(request.socket, response);
    if (!before || before.writableEnded || before.destroyed) return handle(request, response);
    return once(before, 'close').then(() => (response.destroyed ? undefined : handle(request, response)));
  };
}

/** Of a connection where nothing moves: is it we who take long? Else the client is gone, or holds the connection for nothing. */
function waitsForUs(socket: Socket, response: ServerResponse | undefined): boolean {
  if (!response || response.writableEnded || socket.writableLength > 0) return false;
  return response.req.complete || response.req.readableLength > 0;
}

type Refusal = readonly [status: number, phrase: string, detail: string];

/** A target with the address in it, as clients of proxies send it, becomes its path. Source: RFC 9112, 3.2.2. */
function readTarget(request: IncomingMessage): Refusal | undefined {
  const { url = '/', headers } = request;
  if (url.startsWith('/') || url === '*') return undefined;
  const [, authority = '', rest = ''] = /^https?:\/\/([^/?#]+)(.*)$/i.exec(url) ?? [];
  if (authority === '' || authority.toLowerCase() !== headers.host?.toLowerCase())
    return [400, 'Bad Request', 'The target of the request is no path, and no address of the host that it names'];
  request.url = rest.startsWith('/') ? rest : `/${rest}`;
  return undefined;
}

/** What we cannot decode would be taken for the content. What does not end with "chunked" is refused by Node. Source: RFC 9112, 6.1. */
function wrongCoding({ headers }: IncomingMessage): Refusal | undefined {
  const coding = headers['transfer-encoding'];
  if (coding === undefined || !/,\s*chunked\s*$/i.test(coding)) return undefined;
  return [501, 'Not Implemented', 'The only transfer coding that is known here is "chunked"'];
}

/** Whoever is refused and never sends the body they announced would keep the connection for good: nothing else bounds it then. */
function boundRest(request: IncomingMessage, response: ServerResponse, timeoutMs: number): void {
  const { headers, httpVersionMajor } = request;
  if (httpVersionMajor < 2 && headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) return;
  response.once('finish', () => {
    if (request.complete) return;
    // Who still sends does not look for an answer, and would lose it if the connection were cut with bytes unread.
    request.unpipe();
    request.resume();
    const timer = setTimeout(() => request.destroy(), timeoutMs);
    request.once('close', () => clearTimeout(timer));
  });
}

/** Node has no such limit for HTTP/2. */
function closeWhenIdle(session: Http2Session, keepAliveMs: number): void {
  let streams = 0;
  session.on('stream', (stream) => {
    streams += 1;
    stream.once('close', () => {
      streams -= 1;
    });
  });
  session.setTimeout(keepAliveMs);
  session.on('timeout', () => {
    if (streams === 0) session.close();
  });
}

async function createTls({ tlsCert, tlsKey, headerTimeoutMs }: ListenOptions, limits: object): Promise<Http2SecureServer> {
  const read = async (file: string, name: string): Promise<Buffer> => {
    if (file === '') {
      throw failedPrecondition(`Cannot listen with TLS: gateway.${name} is not set`, {
        hint: 'Set both gateway.tlsCert and gateway.tlsKey, or neither.',
      });
    }
    try {
      return await readFile(file);
    } catch (cause) {
      throw failedPrecondition(`Cannot listen with TLS: the file ${file} cannot be read`, {
        hint: `Correct gateway.${name}, or the file's permissions.`,
        cause,
      });
    }
  };
  const [cert, key] = [await read(tlsCert, 'tlsCert'), await read(tlsKey, 'tlsKey')];
  try {
    return createSecureServer({
      ...limits,
      cert,
      key,
      allowHTTP1: true,
      handshakeTimeout: headerTimeoutMs,
      settings: { maxConcurrentStreams: 128 },
      maxSessionMemory: 16,
    });
  } catch (cause) {
    throw failedPrecondition(`Cannot listen with TLS: ${(cause as Error).message}`, {
      hint: `Check that ${tlsCert} and ${tlsKey} are PEM files that belong together.`,
      cause,
    });
  }
}

async function bind(server: Server | Http2SecureServer, host: string, port: number): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = reasons[code ?? ''];
    throw failedPrecondition(`Cannot listen on ${host} port ${port}: ${why?.[0] ?? (cause as Error).message}`, {
      reason: 'cannot_listen',
      hint: why?.[1] ?? 'Choose another gateway.host or gateway.port.',
      cause,
    });
  }
}

const reasons: Readonly<Record<string, readonly [why: string, hint: string]>> = {
  EADDRINUSE: ['another program uses the port', 'Stop it, or choose another port with --port or gateway.port.'],
  EACCES: ['this user may not use the port', 'Choose a port above 1023 with --port or gateway.port.'],
  EADDRNOTAVAIL: ['this machine does not have the address', 'Correct gateway.host; 127.0.0.1 and 0.0.0.0 are always there.'],
  ENOTFOUND: ['there is no host of that name', 'Correct gateway.host; 127.0.0.1 and 0.0.0.0 are always there.'],
};

/** What is not HTTP, or too much of it, gets one short answer. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, phrase, detail]: Refusal =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? [431, 'Request Header Fields Too Large', `The head of the request is larger than ${headerSizeBytesMax} bytes`]
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [408, 'Request Timeout', 'The head of the request took too long']
        : [400, 'Bad Request', 'This is not a request of HTTP'];
  const text = problemText(status, detail);
  const head = `HTTP/1.1 ${status} ${phrase}\r\ncontent-type: ${problemType}\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close`;
  socket.end(`${head}\r\n\r\n${text}`);
}

function refuse(response: ServerResponse, status: number, phrase: string, detail: string): void {
  const text = problemText(status, detail);
  const headers = { 'content-type': problemType, 'content-length': Buffer.byteLength(text), connection: 'close' };
  response.writeHead(status, phrase, headers).end(text);
}

function problemText(status: number, detail: string): string {
  const problem = problemOf(new Fault('invalid_argument', detail, { reason: 'malformed_request' }), '0'.repeat(32));
  return JSON.stringify({ ...problem, status });
}

async function close(server: Server | Http2SecureServer, sockets: ReadonlySet<Socket>, signal: AbortSignal): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection kept alive would stay until it times out: each is closed when its request has been answered.
  const idle = setInterval(() => (server as Server).closeIdleConnections?.(), 20);
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  if (signal.aborted) cut();
  signal.addEventListener('abort', cut, { once: true });
  await closed;
  clearInterval(idle);
  signal.removeEventListener('abort', cut);
}
