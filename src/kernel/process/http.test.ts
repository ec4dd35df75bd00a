import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request as httpRequest, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Fault } from '../fault.ts';
import { Registry, ServiceState } from '../services/registry.ts';
import type { HttpHandler } from '../services/service.ts';
import { continueOnRead, createForward, serveHttp } from './http.ts';

// An edge as the gateway is one, and a service behind a Unix socket.
const service = 'cellar.grpc.echo';
const registry = new Registry();
const seen: string[] = [];
let aborted = Promise.withResolvers<void>();
let folder: string;
let edge: Server;
let port: number;
let closeService: () => Promise<void>;
let closeForward: () => void;

const handler: HttpHandler = async (request, response) => {
  seen.push(`${request.method} ${request.url}`);
  switch (request.url) {
    case '/refuse':
      response.writeHead(403, { connection: 'close' }).end('refused');
      return;
    case '/wait':
      response.once('close', () => aborted.resolve());
      return;
    case '/cut':
      response.writeHead(200, { 'content-length': '1000' });
      response.write('half', () => request.socket.destroy());
      return;
    case '/drop':
      request.socket.destroy();
      return;
    case '/read': {
      let text = '';
      for await (const chunk of request) text += String(chunk);
      response.end(text);
      return;
    }
    default:
      response.writeHead(200, {
        'x-host': request.headers.host ?? '',
        'x-type': request.headers['content-type'] ?? '',
        'set-cookie': ['a=1', 'b=2'],
      });
      request.pipe(response);
  }
};

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cellar-http-'));
  const path = join(folder, 's.http');
  closeService = (await serveHttp({ path }, new Map([[service, handler]]))).close;
  registry.set({
    service,
    contracts: [],
    plan: undefined,
    address: { kind: 'direct' },
    http: { kind: 'local', path },
    state: ServiceState.Ready,
    reason: '',
    machine: 'm',
    pid: 1,
    restarts: 0,
    startTimeMs: 0,
  });
  const { forward, close } = createForward({ registry, handlers: new Map(), tls: undefined });
  closeForward = close;
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const name = request.url === '/nobody' ? 'cellar.grpc.nobody' : service;
    forward(name, request, response).catch((error: unknown) => {
      const fault = Fault.from(error);
      response.writeHead(503, { 'retry-after': '1' }).end(fault.code);
    });
  };
  edge = createServer(handle);
  edge.on('checkContinue', (request, response) => {
    continueOnRead(request, response);
    handle(request, response);
  });
  edge.listen(0, '127.0.0.1');
  await once(edge, 'listening');
  port = (edge.address() as AddressInfo).port;
});

after(async () => {
  edge.closeAllConnections();
  edge.close();
  closeForward();
  await closeService();
  await rm(folder, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

function ask(method: string, path: string, body?: Buffer, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, method, path, headers: { host: 'cloud.example', ...headers } });
    request.once('error', reject);
    request.once('response', (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.once('error', reject);
      answer.once('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }));
    });
    request.end(body);
  });
}

test('headers and body pass unchanged both ways', async () => {
  const body = randomBytes(3_000_000);
  const answer = await ask('PUT', '/echo?x=%2F', body, { 'content-type': 'text/x', 'content-length': String(body.length) });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['x-host'], 'cloud.example');
  assert.equal(answer.headers['x-type'], 'text/x');
  assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2']);
  assert.ok(answer.body.equals(body));
});

test('a head as long as the edge lets in is let in by the service', async () => {
  const headers = { 'x-long': 'x'.repeat(32 * 1024) };
  const request = httpRequest({ socketPath: join(folder, 's.http'), path: '/echo', headers }).end();
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  assert.equal(answer.resume().statusCode, 200);
});

test('a body of unknown length passes too', async () => {
  const body = randomBytes(100_000);
  const answer = await ask('POST', '/echo', body, { 'transfer-encoding': 'chunked' });
  assert.ok(answer.body.equals(body));
});

test('a body with a method that seldom has one is not taken for another request', async () => {
  for (const method of ['DELETE', 'GET', 'OPTIONS']) {
    seen.length = 0;
    const smuggled = Buffer.from('GET /smuggled HTTP/1.1\r\nhost: cloud.example\r\n\r\n');
    const answer = await ask(method, '/read', smuggled, { 'transfer-encoding': 'chunked' });
    assert.equal(answer.body.toString(), smuggled.toString());
    assert.equal((await ask('GET', '/echo')).status, 200);
    assert.deepEqual(seen, [`${method} /read`, 'GET /echo']);
  }
});

test('a request of HTTP/2 passes as well', async (t) => {
  const { forward, close } = createForward({ registry, handlers: new Map(), tls: undefined });
  const http2Edge = createHttp2Server((request, response) => {
    void forward(service, request as unknown as IncomingMessage, response as unknown as ServerResponse);
  });
  http2Edge.listen(0, '127.0.0.1');
  await once(http2Edge, 'listening');
  const { port: http2Port } = http2Edge.address() as AddressInfo;
  const client = connectHttp2(`http://127.0.0.1:${http2Port}`);
  t.after(() => {
    client.close();
    http2Edge.close();
    close();
  });
  const body = randomBytes(100_000);
  for (const headers of [{}, { 'content-length': body.length }]) {
    const stream = client.request({ ':method': 'PUT', ':path': '/echo', 'content-type': 'text/x', ...headers });
    stream.end(body);
    const [answered] = await once(stream, 'response');
    assert.equal(answered['x-host'], `127.0.0.1:${http2Port}`);
    assert.ok(Buffer.concat(await Array.fromAsync<Buffer>(stream)).equals(body));
  }
  const stream = client.request({ ':path': '/echo' });
  const [answered] = await once(stream, 'response');
  assert.equal(answered[':status'], 200);
  stream.resume();
  await once(stream, 'end');
});

test('no body at all', async () => {
  assert.equal((await ask('GET', '/echo')).status, 200);
});

test('a body that is expected is asked for only when the service reads it', async () => {
  const said = await raw(`PUT /refuse HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n`, /refused/);
  assert.match(said, /^HTTP\/1.1 403/);
  assert.doesNotMatch(said, /100 Continue/);
  const accepted = await raw(
    `PUT /read HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n`,
    /100 Continue/,
    'hello',
  );
  assert.match(accepted, /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200/);
  assert.match(accepted, /hello/);
});

test('bytes beyond ASCII in headers pass unchanged, also of a request that expects to be asked', async () => {
  const said = await raw(
    'PUT /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: é\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n',
    /100 Continue/,
    'hello',
  );
  assert.match(said, /x-type: é\r\n/);
});

test('a client that leaves ends the request at the service', async () => {
  aborted = Promise.withResolvers();
  const request = httpRequest({ host: '127.0.0.1', port, path: '/wait' });
  request.once('error', () => undefined);
  request.end();
  while (!seen.includes('GET /wait')) await new Promise((resolve) => setImmediate(resolve));
  request.destroy();
  await aborted.promise;
});

test('a service that is away, or goes away before it answers, is unavailable', async () => {
  for (const [method, path] of [
    ['GET', '/nobody'],
    ['GET', '/drop'],
    ['PUT', '/drop'],
  ] as const) {
    const answer = await ask(method, path, method === 'PUT' ? Buffer.from('x') : undefined);
    assert.equal(answer.status, 503, path);
    assert.equal(answer.body.toString(), 'unavailable');
  }
});

test('an answer cut off there is cut off here, not completed', async () => {
  await assert.rejects(ask('GET', '/cut'), /aborted|ECONNRESET|hang up/);
});

/** Sends bytes, waits until the answer matches, sends the rest and resolves with all that was said until the end or a second match. */
async function raw(head: string, wait: RegExp, rest?: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let said = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk;
  });
  socket.write(head);
  while (!wait.test(said)) await once(socket, 'data');
  if (rest !== undefined) {
    socket.write(rest);
    await once(socket, 'end');
  }
  socket.destroy();
  return said;
}
