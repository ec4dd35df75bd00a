import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Streams } from '#gen/cellar/kernel/v1/streams_pb.ts';
import { serveStreams } from '../streams/remote.ts';
import type { StreamEvent, StreamSource } from '../streams/streams.ts';
import { redisMissing, startRedis } from '../testing/engines.ts';
import { startTestPlatform } from '../testing/platform.ts';
import { defineService, type Micro } from './service.ts';

/** One service that keeps a stream, and one that follows it; both as the launcher starts them. */
async function startPair(redisUrl?: string) {
  const micros: Micro[] = [];
  let source: StreamSource | undefined;
  let say = async (): Promise<void> => undefined;
  const producer = defineService({
    name: 'cellar.grpc.producer',
    description: 'Keeps a stream.',
    contracts: [Streams],
    settings: {},
    needs: [],
    placement: 'main',
    migrations: [],
    start: async (micro) => {
      micros.push(micro);
      const stream = await micro.openStream('news');
      say = async () => {
        await stream.append(micro.database, [{ key: 'k', type: 'said', payload: new TextEncoder().encode('hello') }]);
      };
      return { bindings: [serveStreams([stream], micro.signal)] };
    },
  });
  const follower = defineService({
    name: 'cellar.grpc.follower',
    description: 'Follows it.',
    contracts: [],
    settings: {},
    needs: [producer.name],
    placement: 'main',
    start: async (micro) => {
      source = await micro.followStream(producer.name, 'news');
      return { bindings: [] };
    },
  });
  const platform = await startTestPlatform(
    [producer, follower].map((definition) => ({ definition, instance: '', plan: undefined })),
    redisUrl ? { redisUrl } : {},
  );
  assert.ok(source);
  return { platform, source, say: () => say(), micro: micros[0] as Micro };
}

async function firstOf(source: StreamSource): Promise<StreamEvent | undefined> {
  for await (const events of source.subscribe({ after: 0, signal: AbortSignal.timeout(10_000) })) return events[0];
  return undefined;
}

test('a service follows the stream of another', async () => {
  const { platform, source, say } = await startPair();
  await using _ = platform;
  const first = firstOf(source);
  await say();
  assert.equal(new TextDecoder().decode((await first)?.payload), 'hello');
});

test('through Redis as well, and still when Redis goes away', { skip: (await redisMissing()) ?? false }, async () => {
  await using redis = await startRedis();
  const { platform, source, say } = await startPair(redis.url);
  await using _ = platform;
  const first = firstOf(source);
  await say();
  assert.equal((await first)?.position, 1);
  await redis.kill();
  await say();
  const both: number[] = [];
  for await (const events of source.subscribe({ after: 0, signal: AbortSignal.timeout(20_000) })) {
    both.push(...events.map(({ position }) => position));
    if (both.length === 2) break;
  }
  assert.deepEqual(both, [1, 2]);
});

test('a lease is held by one service at a time', async () => {
  const { platform, micro } = await startPair();
  await using _ = platform;
  const leases = await micro.leases();
  const held = await leases.tryAcquire('only one', { holder: 'a', ttlMs: 5000 });
  assert.ok(held);
  assert.equal(await leases.tryAcquire('only one', { holder: 'b', ttlMs: 5000 }), undefined);
  await held.release();
  const next = await leases.tryAcquire('only one', { holder: 'b', ttlMs: 5000 });
  assert.ok(next && next.epoch > held.epoch);
  await next.release();
});
