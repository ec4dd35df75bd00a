import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { type Credentials, signHeaders } from '#lib/sigv4-signer.ts';
import { askS3, createKey, startTestGateway } from './testing/start-gateway.ts';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}

interface Asked {
  readonly method?: string;
  readonly host: string;
  readonly path: string;
  readonly credentials?: Credentials;
  readonly headers?: Record<string, string>;
}

function headersOf({ method = 'GET', host, path, credentials, headers = {} }: Asked): Record<string, string> {
  if (!credentials) return { host, ...headers };
  const all = new Map(Object.entries({ host, ...headers }));
  return {
    ...headers,
    ...signHeaders({ method, path, query: [], headers: all }, 'UNSIGNED-PAYLOAD', credentials, Date.now()),
    host,
  };
}

async function ask(url: string, asked: Asked): Promise<{ status: number; body: string }> {
  const { hostname, port } = new URL(url);
  const request = httpRequest({ hostname, port, method: asked.method, path: asked.path, headers: headersOf(asked) });
  const answered = once(request, 'response');
  request.end();
  const [response] = await answered;
  return { status: response.statusCode, body: await text(response) };
}

test('a bucket answers at its own host name below the S3 host', async () => {
  await using gateway = await startTestGateway({ s3Host: 'S3.test' });
  const credentials = await createKey(gateway);
  const found = await ask(gateway.url, { host: 'docs.s3.test', path: '/hello.txt', credentials });
  assert.deepEqual([found.status, found.body], [200, 'hello']);
  const port = new URL(gateway.url).port;
  const withPort = await ask(gateway.url, { host: `docs.s3.test:${port}`, path: '/hello.txt', credentials });
  assert.equal(withPort.status, 200);
  const byPath = await ask(gateway.url, { host: 's3.test', path: '/docs/hello.txt', credentials });
  assert.equal(byPath.status, 200);
  const missing = await ask(gateway.url, { host: 'none.s3.test', path: '/hello.txt', credentials });
  assert.match(missing.body, /NoSuchBucket/);
});

test('who the client is, is never believed from outside', async () => {
  await using gateway = await startTestGateway({ s3Host: 's3.test' });
  const credentials = await createKey(gateway);
  const headers = { 'x-cellar-client': '10.1.1.1 secure evil.test', 'x-cellar-service': 'cellar.grpc.users' };
  const found = await ask(gateway.url, { host: 'docs.evil.test', path: '/docs/hello.txt', credentials, headers });
  assert.deepEqual([found.status, found.body], [200, 'hello']);
});

test('a port of its own takes every request as S3', async () => {
  const s3Port = await freePort();
  await using gateway = await startTestGateway({ s3Port });
  const url = `http://127.0.0.1:${s3Port}`;
  const credentials = await createKey(gateway);
  const signed = await ask(url, { host: `127.0.0.1:${s3Port}`, path: '/docs/hello.txt', credentials });
  assert.deepEqual([signed.status, signed.body], [200, 'hello']);
  for (const path of ['/docs/hello.txt', '/api/v1/me', '/none/x']) {
    const anonymous = await ask(url, { host: '127.0.0.1', path });
    assert.ok(anonymous.status === 403 || anonymous.status === 404, `${path}: ${anonymous.status}`);
    assert.match(anonymous.body, /<Error>/);
  }
  assert.equal((await fetch(`${gateway.url}/health/live`)).status, 200);
});

test('requests that are sent before answers came are answered in their order', async () => {
  await using gateway = await startTestGateway();
  const credentials = await createKey(gateway);
  const { host, port } = new URL(gateway.url);
  const one = (method: string, path: string, body = ''): string => {
    const headers = headersOf({ method, host, path, credentials, headers: { 'content-length': String(body.length) } });
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    return `${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`;
  };
  const socket = connect(Number(port), '127.0.0.1');
  let said = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk;
    if (said.endsWith('the end')) socket.end();
  });
  // The body of the refused one looks like a request.
  const hidden = one('DELETE', '/docs/hello.txt');
  socket.write(
    one('PUT', '/docs/a', 'first') +
      one('GET', '/docs/a') +
      one('PUT', '/nowhere/b', hidden) +
      one('PUT', '/docs/c', 'the end') +
      one('GET', '/docs/hello.txt') +
      one('GET', '/docs/c'),
  );
  await once(socket, 'close');
  const statuses = [...said.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));
  assert.deepEqual(statuses, [200, 200, 404, 200, 200, 200]);
  const left = await askS3(gateway, credentials, 'GET', '/docs/hello.txt');
  assert.equal(left.status, 200);
});
