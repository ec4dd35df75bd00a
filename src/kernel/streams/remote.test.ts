import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Streams } from '#gen/cellar/kernel/v1/streams_pb.ts';
import { serviceCaller } from '../calls/caller.ts';
import type { Micro } from '../services/service.ts';
import { defineService, type ServiceDefinition } from '../services/service.ts';
import { temporaryFolder, until } from '../testing/engines.ts';
import { startTestPlatform, type TestPlatform } from '../testing/platform.ts';
import { createRemoteStream, serveStreams } from './remote.ts';
import { openStream } from './sql-stream.ts';
import type { Stream, StreamSource } from './streams.ts';

const never = new AbortController().signal;

/** A service that keeps one stream, which the test writes to. */
function producer(onOpen: (stream: Stream) => void): ServiceDefinition {
  return defineService({
    name: 'cellar.grpc.producer',
    description: 'Keeps a stream.',
    contracts: [Streams],
    settings: {},
    needs: [],
    placement: 'main',
    migrations: [],
    start: async ({ database, signal }: Micro) => {
      const stream = await openStream({ database, name: 'news' });
      onOpen(stream);
      return { bindings: [serveStreams([stream], signal)] };
    },
  });
}

async function start(t: TestContext, home: string): Promise<{ platform: TestPlatform; stream: Stream; source: StreamSource }> {
  const opened = Promise.withResolvers<Stream>();
  const instance = { definition: producer(opened.resolve), instance: '', plan: undefined };
  const platform = await startTestPlatform([instance], { home });
  t.after(() => platform.stop());
  const client = platform.client(Streams, serviceCaller('cellar.grpc.reader'));
  return { platform, stream: await opened.promise, source: createRemoteStream({ client, name: 'news' }) };
}

const append = (stream: Stream, ...words: string[]) =>
  stream.append(
    stream.database,
    words.map((word) => ({ key: word, type: 'word', payload: Buffer.from(word), headers: { n: '1' } })),
  );

function temporaryHome(t: TestContext): string {
  const folder = temporaryFolder();
  t.after(() => folder[Symbol.dispose]());
  return folder.path;
}

test('events come as they were appended', async (t) => {
  const { stream, source } = await start(t, temporaryHome(t));
  assert.equal(await source.head(never), 0);
  await append(stream, 'a', 'b');
  const own = await stream.read(0, 10, never);
  const far = await source.read(0, 10, never);
  const plain = (events: readonly { payload: Uint8Array }[]) =>
    events.map((event) => ({ ...event, payload: [...event.payload] }));
  assert.deepEqual(plain(far), plain(own));
  assert.equal(await source.head(never), 2);
  await assert.rejects(source.read(9, 10, never), { reason: 'stream_rewound' });
});

test('large events are sent in several messages', async (t) => {
  const { stream, source } = await start(t, temporaryHome(t));
  const payload = Buffer.alloc(600_000, 1);
  await stream.append(
    stream.database,
    [1, 2, 3].map((n) => ({ key: String(n), type: 'big', payload })),
  );
  const reading = new AbortController();
  const sizes: number[] = [];
  for await (const events of source.subscribe({ after: 0, signal: reading.signal })) {
    sizes.push(...events.map((event) => event.payload.byteLength));
    if (sizes.length === 3) reading.abort();
  }
  assert.deepEqual(sizes, [600_000, 600_000, 600_000]);
});

test('a subscription goes on where it was when the service is back', async (t) => {
  const home = temporaryHome(t);
  const first = await start(t, home);
  const reading = new AbortController();
  const seen: string[] = [];
  let client = first.platform.client(Streams, serviceCaller('cellar.grpc.reader'));
  // The client of whichever platform runs now, as one with a registry would find it.
  const source = createRemoteStream({
    client: new Proxy(client, { get: (_target, name) => client[name as keyof typeof client] }),
    name: 'news',
    backoff: { firstMs: 5, maxMs: 20 },
  });
  const ended = (async () => {
    for await (const events of source.subscribe({ after: 0, signal: reading.signal })) seen.push(...events.map(({ key }) => key));
  })();
  await append(first.stream, 'a', 'b');
  await until(() => seen.length === 2);
  const stopStart = performance.now();
  await first.platform.stop();
  assert.ok(performance.now() - stopStart < 2000, 'an open subscription does not hold up the stop');
  const second = await start(t, home);
  client = second.platform.client(Streams, serviceCaller('cellar.grpc.reader'));
  await append(second.stream, 'c');
  await until(() => seen.length === 3);
  assert.deepEqual(seen, ['a', 'b', 'c']);
  reading.abort();
  await ended;
});

test('a stream that is not there is said to be missing', async (t) => {
  const { platform } = await start(t, temporaryHome(t));
  const source = createRemoteStream({ client: platform.client(Streams, serviceCaller('x')), name: 'other' });
  await assert.rejects(source.head(never), { reason: 'stream_missing' });
  await assert.rejects(Array.fromAsync(source.subscribe({ after: 0, signal: never })), { reason: 'stream_missing' });
});
