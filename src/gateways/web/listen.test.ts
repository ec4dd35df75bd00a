import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { Fault } from '#kernel/fault.ts';
import { silentLog } from '#kernel/log.ts';
import { temporaryFolder } from '#kernel/testing/engines.ts';
import { ensureCa, issueCertificate } from '#kernel/transports/ca/ca.ts';
import { type ListenOptions, listen } from './listen.ts';

const options: ListenOptions = {
  host: '127.0.0.1',
  port: 0,
  tlsCert: '',
  tlsKey: '',
  connectionsMax: 100,
  headerTimeoutMs: 1000,
  handle: (_request: IncomingMessage, response: ServerResponse) =>
    response.writeHead(200, { 'content-type': 'text/plain' }).end('here'),
  log: silentLog,
};
const now = (): AbortSignal => AbortSignal.abort();

async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Fault, String(error));
  return error;
}

/** A key and a certificate, as PEM files. */
async function makeCertificate(folder: string): Promise<{ readonly tlsKey: string; readonly tlsCert: string }> {
  const [tlsKey, tlsCert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const { key, cert } = await issueCertificate(await ensureCa(join(folder, 'ca')), {
    name: 'test',
    hosts: ['localhost', '127.0.0.1'],
  });
  await Promise.all([writeFile(tlsKey, key), writeFile(tlsCert, cert)]);
  return { tlsKey, tlsCert };
}

test('a port in use is named, with what to do', async () => {
  const first = await listen(options);
  const port = Number(new URL(first.url).port);
  const fault = await faultOf(listen({ ...options, port }));
  assert.equal(fault.message, `Cannot listen on 127.0.0.1 port ${port}: another program uses the port`);
  assert.match(fault.hint ?? '', /--port/);
  await first.close(now());
  const again = await listen({ ...options, port });
  await again.close(now());
  assert.match((await faultOf(listen({ ...options, host: '192.0.2.1' }))).message, /does not have the address/);
});

test('whoever announces a body, is answered and never sends it does not keep the connection', async (t) => {
  const listening = await listen({ ...options, restTimeoutMs: 50 });
  t.after(() => listening.close(now()));
  const socket = connect(Number(new URL(listening.url).port), '127.0.0.1');
  socket.write('PUT /x HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\nab');
  const text = Buffer.concat(await Array.fromAsync<Buffer>(socket)).toString();
  assert.match(text, /^HTTP\/1\.1 200 OK[\s\S]*here/);
});

test('whoever sends much and is refused at once still reads why', async (t) => {
  const listening = await listen({ ...options, handle: (_request, response) => response.writeHead(403).end('refused') });
  t.after(() => listening.close(now()));
  const answer = await fetch(listening.url, { method: 'PUT', body: new Uint8Array(20_000_000) });
  assert.deepEqual([answer.status, await answer.text()], [403, 'refused']);
});

/** All that comes until the server closes. */
async function talk(url: string, ...said: string[]): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  for (const text of said) socket.write(text);
  return Buffer.concat(await Array.fromAsync<Buffer>(socket).catch(() => [])).toString();
}

test('a client that goes silent in a body, or does not take its answer, is cut off; one that waits for us is not', async (t) => {
  const cut = new Map(['/read', '/take'].map((url) => [url, Promise.withResolvers<void>()]));
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { url = '' } = request;
    response.once('close', () => cut.get(url)?.resolve());
    if (url === '/read') request.resume().on('error', () => undefined);
    else if (url === '/take') response.write(Buffer.alloc(50_000_000));
    else {
      // As silent as the others, and longer.
      await Promise.all([...cut.values()].map(({ promise }) => promise));
      response.setHeader('connection', 'close').end('late');
    }
  };
  const listening = await listen({ ...options, silenceMs: 100, handle });
  t.after(() => listening.close(now()));
  const waiting = talk(listening.url, 'GET /wait HTTP/1.1\r\nhost: x\r\n\r\n');
  const taking = connect(Number(new URL(listening.url).port), '127.0.0.1').pause();
  taking.on('error', () => undefined).write('GET /take HTTP/1.1\r\nhost: x\r\n\r\n');
  assert.equal(await talk(listening.url, 'PUT /read HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nab'), '');
  assert.match(await waiting, /^HTTP\/1\.1 200 [\s\S]*late/);
  taking.destroy();
});

test('a target with the address in it is its path; other hosts, and codings nobody knows, are refused', async (t) => {
  const handle = (request: IncomingMessage, response: ServerResponse): unknown =>
    response.setHeader('connection', 'close').end(`<${request.url}>`);
  const listening = await listen({ ...options, handle });
  t.after(() => listening.close(now()));
  for (const [target, more, expected] of [
    ['HTTP://X:80/a%2Fb?c', '', '</a%2Fb?c>'],
    ['http://x:80', '', '</>'],
    ['http://x:80?a', '', '</?a>'],
    ['http://y/a', '', ' 400 '],
    ['ftp://x:80/a', '', ' 400 '],
    ['/a', 'transfer-encoding: chunked\r\n\r\n0\r\n', '</a>'],
    ['/a', 'transfer-encoding: gzip, chunked\r\n\r\n0\r\n', ' 501 '],
  ] as const)
    assert.ok(
      (await talk(listening.url, `GET ${target} HTTP/1.1\r\nhost: x:80\r\n${more}\r\n`)).includes(expected),
      target + more,
    );
});

test('with a certificate HTTP/2 and HTTP/1.1 are spoken over TLS', async () => {
  using folder = temporaryFolder();
  const { tlsKey, tlsCert } = await makeCertificate(folder.path);
  const listening = await listen({ ...options, tlsKey, tlsCert });
  assert.match(listening.url, /^https:/);
  const session = connectHttp2(listening.url, { rejectUnauthorized: false });
  const stream = session.request({ ':path': '/' });
  const text = (await Array.fromAsync(stream.setEncoding('utf8'))).join('');
  assert.equal(text, 'here');
  session.close();
  const version = await new Promise((resolve, reject) => {
    const sent = httpsRequest(listening.url, { rejectUnauthorized: false, agent: false }, (response) => {
      response.resume();
      resolve(response.httpVersion);
    });
    sent.once('error', reject).end();
  });
  assert.equal(version, '1.1');
  await listening.close(now());

  const half = await faultOf(listen({ ...options, tlsCert }));
  assert.match(half.message, /tlsKey is not set/);
  const missing = await faultOf(listen({ ...options, tlsCert: '/nowhere.pem', tlsKey }));
  assert.match(missing.message, /\/nowhere\.pem cannot be read/);
  const swapped = await faultOf(listen({ ...options, tlsCert: tlsKey, tlsKey: tlsCert }));
  assert.match(swapped.message, /Cannot listen with TLS/);
});

test('HTTP/2 connections without a request, and uploads that were refused and go on, end', async (t) => {
  using folder = temporaryFolder();
  const listening = await listen({ ...options, ...(await makeCertificate(folder.path)), restTimeoutMs: 50, keepAliveMs: 50 });
  t.after(() => listening.close(now()));
  const session = connectHttp2(listening.url, { rejectUnauthorized: false });
  const stream = session.request({ ':path': '/', ':method': 'PUT' });
  stream
    .on('error', () => undefined)
    .resume()
    .write('never all of it');
  const ended = once(session, 'close');
  await once(stream, 'close');
  await ended;
});

test('stopping lets requests under way end, and cuts them when patience ends', async () => {
  const started = Promise.withResolvers<ServerResponse>();
  const listening = await listen({ ...options, handle: (_request, response) => started.resolve(response) });
  const answer = fetch(listening.url);
  const response = await started.promise;
  const closed = listening.close(new AbortController().signal);
  response.writeHead(200).end('late');
  assert.equal(await (await answer).text(), 'late');
  await closed;

  const hanging = Promise.withResolvers<ServerResponse>();
  const second = await listen({ ...options, handle: (_request, its) => hanging.resolve(its) });
  const never = fetch(second.url).catch(() => 'cut');
  await hanging.promise;
  const patience = new AbortController();
  const ended = second.close(patience.signal);
  patience.abort();
  await ended;
  assert.equal(await never, 'cut');
});
