import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { Conformance, PacketSchema } from '#gen/cellar/testing/v1/conformance_pb.ts';
import { serviceCaller } from '../../calls/caller.ts';
import { createClient } from '../../calls/client.ts';
import { readContract } from '../../calls/contract.ts';
import { Endpoint } from '../../calls/endpoint.ts';
import { Trace } from '../../calls/trace.ts';
import { Code, Fault } from '../../fault.ts';
import { createLog, type Log } from '../../log.ts';
import { temporaryFolder, until } from '../../testing/engines.ts';
import { addConformance, conformanceService, type Seen } from '../testing/conformance-service.ts';
import { startPeer } from '../testing/start-peer.ts';
import { HeadWriter } from './call-head.ts';
import { createLocalChannel, type LocalChannelOptions } from './channel.ts';
import { FrameReader, FrameType, FrameWriter, greeting } from './frames.ts';
import type { LocalLimits } from './limits.ts';
import { type LocalServer, serveLocal } from './server.ts';

interface Setup {
  readonly path: string;
  readonly server: LocalServer;
  readonly seen: Seen;
  readonly lines: string[];
}

async function start(t: TestContext, limits: Partial<LocalLimits> = {}): Promise<Setup> {
  const folder = temporaryFolder();
  const path = join(folder.path, 's.sock');
  const lines: string[] = [];
  const log: Log = createLog({ level: 'debug', write: (line) => void lines.push(line) });
  const endpoint = new Endpoint();
  const { seen } = addConformance(endpoint, () => assert.fail('not nested'));
  const server = await serveLocal(endpoint, { path, log, limits });
  t.after(async () => {
    await server.close(AbortSignal.abort());
    folder[Symbol.dispose]();
  });
  return { path, server, seen, lines };
}

function clientOf(t: TestContext, options: LocalChannelOptions) {
  const channel = createLocalChannel(options);
  t.after(() => channel.close());
  return createClient(Conformance, {
    route: () => ({ channel, service: conformanceService }),
    caller: serviceCaller('cellar.grpc.testing.client'),
  });
}

/** What a peer says before it closes the connection. */
async function exchange(path: string, bytes: Uint8Array): Promise<{ readonly types: number[]; readonly text: string }> {
  const socket = connect(path);
  const types: number[] = [];
  let text = '';
  const reader = new FrameReader(1 << 20, {
    greeted: () => undefined,
    frame: (type, _, chunk, from, to) => {
      types.push(type);
      text += chunk.toString('latin1', from, to);
    },
  });
  socket.on('data', (chunk: Buffer) => reader.push(chunk));
  socket.on('error', () => undefined);
  socket.write(bytes);
  await once(socket, 'close');
  return { types, text };
}

function frames(write: (writer: FrameWriter) => void): Buffer {
  const chunks: Uint8Array[] = [greeting(1 << 20)];
  const writer = new FrameWriter((written) => void chunks.push(...written));
  write(writer);
  writer.flush();
  return Buffer.concat(chunks);
}

const isFault =
  (code: Code, reason?: string) =>
  (error: unknown): boolean =>
    error instanceof Fault && error.code === code && (reason === undefined || error.reason === reason);

for (const [name, bytes, reason] of [
  ['a peer of another protocol', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), 'does not speak the protocol'],
  ['a peer of another version', Buffer.from('CELLAR\x63\x00\x00\x00\x01\x00', 'latin1'), 'version 99'],
  ['random bytes after the greeting', Buffer.concat([greeting(1 << 20), Buffer.alloc(64, 0xff)]), 'is larger than'],
  ['a frame that is too short', Buffer.concat([greeting(1 << 20), Buffer.from([2, 0, 0, 0, 9, 9, 9])]), 'too short'],
  ['an unknown frame', frames((w) => w.frame(99 as FrameType, 1)), 'type 99'],
  ['a frame for a call that was not made', frames((w) => w.frame(FrameType.End, 7)), 'call 7'],
  ['a call with undefined slots', frames((w) => w.frame(FrameType.Call, 1, new Uint8Array(40))), 'not defined'],
  ['a head cut short', frames((w) => w.frame(FrameType.Call, 1, new Uint8Array(4))), 'too short'],
  ['a header that is no Protobuf', frames((w) => w.frame(FrameType.DefineMethod, 0, new Uint8Array([7]))), 'not Protobuf'],
  ['a slot out of range', frames((w) => w.frame(FrameType.DefineMethod, 5000, new Uint8Array())), 'slot 5000'],
] as const) {
  test(`${name} is told why, logged, and left`, async (t) => {
    const { path, lines } = await start(t);
    const { types, text } = await exchange(path, bytes);
    assert.deepEqual(types, [FrameType.GoAway]);
    assert.match(text, new RegExp(reason));
    assert.match(lines.join(''), new RegExp(reason));
    assert.equal((await clientOf(t, { path }).echo({ number: 1n })).number, 1n);
  });
}

test('a peer that says nothing, or half a frame, is left after a while; others are served meanwhile', async (t) => {
  const { path, lines } = await start(t, { greetingMsMax: 60, partialFrameMsMax: 60 });
  const closed = [Buffer.from('CEL'), Buffer.concat([greeting(1 << 20), Buffer.from([200, 0, 0])])].map((bytes) =>
    exchange(path, bytes),
  );
  assert.equal((await clientOf(t, { path }).echo({ number: 1n })).number, 1n);
  for (const { types } of await Promise.all(closed)) assert.deepEqual(types, [FrameType.GoAway]);
  assert.match(lines.join(''), /no greeting arrived in time/);
  assert.match(lines.join(''), /the rest of a frame did not arrive in time/);
});

test('a frame cut anywhere arrives all the same', async (t) => {
  const { path } = await start(t);
  // One byte at a time through a socket in between.
  const relayPath = `${path}.relay`;
  const sockets: Socket[] = [];
  const relay = createServer((down) => {
    const up = connect(path);
    sockets.push(down, up);
    const slowly = (from: Socket, to: Socket): void => {
      from.on('data', async (chunk: Buffer) => {
        from.pause();
        for (const byte of chunk) await new Promise((resolve) => to.write(Buffer.from([byte]), resolve));
        from.resume();
      });
      from.on('close', () => to.destroy());
      from.on('error', () => undefined);
    };
    slowly(down, up);
    slowly(up, down);
  }).listen(relayPath);
  await once(relay, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    relay.close();
  });
  const answer = await clientOf(t, { path: relayPath }).echo({ name: 'slowly', number: 7n });
  assert.deepEqual([answer.name, answer.number], ['slowly', 7n]);
});

test('a message larger than a frame is a clear fault on either side, and the connection stays', async (t) => {
  const { path } = await start(t, { frameBytesMax: 4096 });
  const client = clientOf(t, { path });
  await client.echo({});
  const data = new Uint8Array(5000);
  await assert.rejects(client.echo({ data }), isFault(Code.ResourceExhausted, 'message_too_large'));
  await assert.rejects(
    Array.fromAsync(client.count({ count: 1, size: 5000 })),
    isFault(Code.ResourceExhausted, 'message_too_large'),
  );
  await assert.rejects(
    client.sum(
      (async function* () {
        yield { data };
      })(),
    ),
    isFault(Code.ResourceExhausted, 'message_too_large'),
  );
  assert.equal((await client.echo({ number: 9n })).number, 9n);
});

test('calls and streams of one connection are limited', async (t) => {
  const { path, seen } = await start(t, { callsMax: 3, streamsMax: 1 });
  const client = clientOf(t, { path });
  const end = new AbortController();
  const streamed = client.count({ count: 9, waitAfter: 1 }, { signal: end.signal })[Symbol.asyncIterator]();
  await streamed.next();
  await assert.rejects(Array.fromAsync(client.count({ count: 1 })), isFault(Code.ResourceExhausted, 'too_many_calls'));
  const waiting = [1, 2].map(() => client.wait({ heedsSignal: true }, { signal: end.signal }).catch(() => 'ended'));
  await until(() => seen.waiting >= 2);
  await assert.rejects(client.echo({}), isFault(Code.ResourceExhausted, 'too_many_calls'));
  end.abort();
  assert.deepEqual(await Promise.all(waiting), ['ended', 'ended']);
  await until(async () => (await client.echo({ number: 1n }).catch(() => undefined))?.number === 1n);
});

test('a client that does not read its answers is not read from any more', async (t) => {
  const { path } = await start(t, { outboundBytesMax: 1024 * 1024 });
  const socket = connect(path).pause();
  t.after(() => socket.destroy());
  socket.on('error', () => undefined);
  const writer = new FrameWriter((chunks) => {
    for (const chunk of chunks) socket.write(chunk);
  });
  socket.write(greeting(16 * 1024 * 1024));
  const heads = new HeadWriter(writer);
  const { methods } = readContract(Conformance);
  const [echo] = methods;
  assert.ok(echo);
  const request = toBinary(PacketSchema, create(PacketSchema, { data: new Uint8Array(256 * 1024) }));
  const outgoing = {
    caller: serviceCaller('cellar.grpc.testing.client'),
    timeoutMs: undefined,
    signal: undefined,
    trace: new Trace(),
    idempotencyKey: '',
    service: conformanceService,
  };
  for (let id = 1; id <= 200; id++) heads.call(id, echo, outgoing, request);
  writer.flush();
  let before = -1;
  await until(async () => {
    if (before === socket.writableLength) return true;
    before = socket.writableLength;
    await new Promise((resolve) => setTimeout(resolve, 100));
    return false;
  });
  // Most of the 50 MiB was never taken.
  assert.ok(socket.writableLength > 40 * 1024 * 1024, `${socket.writableLength} bytes were left`);
  // It goes on when the client reads.
  socket.resume();
  await until(() => socket.writableLength === 0);
});

test('a client leaves a peer that does not answer any more', { timeout: 20_000 }, async (t) => {
  const folder = temporaryFolder();
  const path = join(folder.path, 's.sock');
  // Greets, then nothing.
  const mute = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.resume();
    socket.write(greeting(1 << 20));
  }).listen(path);
  await once(mute, 'listening');
  t.after(() => {
    mute.close();
    folder[Symbol.dispose]();
  });
  await assert.rejects(clientOf(t, { path, limits: { silenceMsMax: 100 } }).echo({}), isFault(Code.Unavailable, 'unreachable'));
  mute.removeAllListeners('connection');
  mute.on('connection', (socket) => void socket.on('error', () => undefined));
  await assert.rejects(clientOf(t, { path, limits: { greetingMsMax: 100 } }).echo({}), isFault(Code.Unavailable, 'unreachable'));
});

test('a client refuses a server of another protocol', async (t) => {
  const folder = temporaryFolder();
  const path = join(folder.path, 's.sock');
  const other = createServer((socket) => void socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(
    path,
  );
  await once(other, 'listening');
  t.after(() => {
    other.close();
    folder[Symbol.dispose]();
  });
  await assert.rejects(clientOf(t, { path }).echo({}), isFault(Code.Unavailable, 'wrong_protocol'));
});

test('while nobody listens calls fail at once, without queueing', async (t) => {
  const folder = temporaryFolder();
  t.after(() => folder[Symbol.dispose]());
  const client = clientOf(t, { path: join(folder.path, 'none.sock') });
  const startMs = performance.now();
  for (let call = 0; call < 500; call++) await assert.rejects(client.echo({}), isFault(Code.Unavailable, 'unreachable'));
  assert.ok(performance.now() - startMs < 2000);
});

test('the socket is for its owner only, and goes with its server', async (t) => {
  const { path, server } = await start(t);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await server.close();
  assert.ok(!existsSync(path));
});

test('what a killed process left is replaced; a living one, or a file, is not', async (t) => {
  const folder = temporaryFolder();
  t.after(() => folder[Symbol.dispose]());
  const path = join(folder.path, 's.sock');
  const peer = await startPeer(['local', path]);
  t.after(peer.kill);
  await assert.rejects(serveLocal(new Endpoint(), { path }), isFault(Code.FailedPrecondition));
  await peer.kill();
  assert.ok(existsSync(path));
  const server = await serveLocal(new Endpoint(), { path });
  await server.close();
  writeFileSync(path, 'a file');
  await assert.rejects(serveLocal(new Endpoint(), { path }), isFault(Code.FailedPrecondition));
  assert.ok(existsSync(path));
  await assert.rejects(serveLocal(new Endpoint(), { path: `/tmp/${'x'.repeat(120)}` }), isFault(Code.InvalidArgument));
  await assert.rejects(serveLocal(new Endpoint(), { path: join(folder.path, 'no', 's.sock') }), isFault(Code.FailedPrecondition));
});

test('closing waits for calls under way, refuses others, and ends what is left when patience does', async (t) => {
  const { path, server, seen } = await start(t);
  const client = clientOf(t, { path });
  const end = new AbortController();
  const first = client.wait({ heedsSignal: true }, { signal: end.signal }).catch(() => 'ended');
  const second = client.wait({}).catch((error: unknown) => Fault.from(error).code);
  await until(() => seen.waiting === 2);
  const patience = new AbortController();
  const closed = server.close(patience.signal);
  await assert.rejects(client.echo({}), isFault(Code.Unavailable, 'stopping'));
  end.abort();
  assert.equal(await first, 'ended');
  patience.abort();
  await closed;
  assert.equal(await second, Code.Unavailable);
});
