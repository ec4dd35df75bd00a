import assert from 'node:assert/strict';
import { after, type TestContext, test } from 'node:test';
import { openRedis, type RedisConnection } from '../database/redis.ts';
import { silentLog } from '../log.ts';
import { sqliteFactory, uniqueName } from '../testing/databases.ts';
import { redisMissing, startRedis, until } from '../testing/engines.ts';
import { createRedisSource, runRedisRelay } from './redis-stream.ts';
import { openStream } from './sql-stream.ts';
import { type StreamFactory, streamSuite } from './streams.suite.ts';
import type { Stream, StreamSource } from './streams.ts';

const reason = await redisMissing();
const skip = reason ?? false;
const server = reason === undefined ? await startRedis() : undefined;
after(async () => server?.[Symbol.asyncDispose]());

const never = new AbortController().signal;

/** The table, a relay that copies it to Redis, and the source that reads there. */
async function open(
  t: TestContext,
  options: { now?: () => number; pollMs?: number } = {},
): Promise<{ stream: Stream; source: StreamSource; redis: RedisConnection }> {
  const redis = openRedis({ url: server?.url ?? '', log: silentLog });
  const database = await sqliteFactory.open(t);
  const stream = await openStream({ database, name: uniqueName('test'), ...options });
  const source = createRedisSource({ source: stream, redis, log: silentLog, pollMs: options.pollMs ?? 500 });
  const stopping = new AbortController();
  const relaying = runRedisRelay({ source: stream, redis, log: silentLog }, stopping.signal);
  t.after(async () => {
    stopping.abort();
    await relaying;
    await redis.close();
  });
  return { stream, source, redis };
}

const factory: StreamFactory = { name: 'Redis', open };
streamSuite(factory, skip);

const event = (key: string) => ({ key, type: 'changed', payload: new Uint8Array([1]) });

async function collect(source: StreamSource, after: number, count: number): Promise<number[]> {
  const positions: number[] = [];
  for await (const events of source.subscribe({ after, signal: never })) {
    positions.push(...events.map(({ position }) => position));
    if (positions.length >= count) break;
  }
  return positions;
}

test('Redis killed: readers go on from the table, and again from Redis when it is back', { skip }, async (t) => {
  const { stream, source, redis } = await open(t);
  const reading = collect(source, 0, 4);
  await stream.append(stream.database, [event('a')]);
  await until(async () => ((await redis.call('XLEN', `cellar:stream:${stream.name}`)) as number) === 1);
  await server?.kill();
  await stream.append(stream.database, [event('b'), event('c')]);
  assert.deepEqual(
    (await source.read(1, 10, never)).map(({ position }) => position),
    [2, 3],
  );
  await server?.restart();
  await stream.append(stream.database, [event('d')]);
  assert.deepEqual(await reading, [1, 2, 3, 4]);
  await until(async () => {
    const length = await redis.call('XLEN', `cellar:stream:${stream.name}`).catch(() => 0);
    return length === 4;
  });
});

test('what Redis lost is read from the table', { skip }, async (t) => {
  const { stream, source, redis } = await open(t);
  const key = `cellar:stream:${stream.name}`;
  await stream.append(stream.database, ['a', 'b', 'c', 'd'].map(event));
  await until(async () => ((await redis.call('XLEN', key)) as number) === 4);
  await redis.call('XDEL', key, '2-0');
  assert.deepEqual(await collect(source, 0, 4), [1, 2, 3, 4]);
  await redis.call('XTRIM', key, 'MAXLEN', 1);
  assert.deepEqual(await collect(source, 0, 4), [1, 2, 3, 4]);
});

test('two relays add every event once', { skip }, async (t) => {
  const { stream, redis } = await open(t);
  const stopping = new AbortController();
  const second = runRedisRelay({ source: stream, redis, log: silentLog, batchSizeMax: 7 }, stopping.signal);
  for (let batch = 0; batch < 20; batch += 1)
    await stream.append(
      stream.database,
      Array.from({ length: 10 }, (_, n) => event(`${n}`)),
    );
  const key = `cellar:stream:${stream.name}`;
  await until(async () => ((await redis.call('XLEN', key)) as number) === 200);
  stopping.abort();
  await second;
  const entries = (await redis.call('XRANGE', key, '-', '+')) as [string][];
  assert.deepEqual(
    entries.map(([id]) => id),
    Array.from({ length: 200 }, (_, index) => `${index + 1}-0`),
  );
});

test('a relay that begins on a trimmed stream goes on from its end', { skip }, async (t) => {
  const redis = openRedis({ url: server?.url ?? '', log: silentLog });
  const stream = await openStream({ database: await sqliteFactory.open(t), name: uniqueName('test') });
  const stopping = new AbortController();
  await stream.append(stream.database, ['a', 'b', 'c'].map(event));
  await stream.trim({ countMax: 1 });
  const relaying = runRedisRelay({ source: stream, redis, log: silentLog }, stopping.signal);
  t.after(async () => {
    stopping.abort();
    await relaying;
    await redis.close();
  });
  const source = createRedisSource({ source: stream, redis, log: silentLog, pollMs: 500 });
  await until(async () => {
    await stream.append(stream.database, [event('d')]);
    return ((await redis.call('XLEN', `cellar:stream:${stream.name}`)) as number) > 0;
  });
  const head = await stream.head(never);
  assert.deepEqual(
    await collect(source, 2, head - 2),
    Array.from({ length: head - 2 }, (_, index) => index + 3),
  );
  await assert.rejects(collect(source, 0, 1), { reason: 'stream_trimmed' });
});

test('Redis ahead of a restored table is emptied and filled anew', { skip }, async (t) => {
  const redis = openRedis({ url: server?.url ?? '', log: silentLog });
  const stream = await openStream({ database: await sqliteFactory.open(t), name: uniqueName('test') });
  const key = `cellar:stream:${stream.name}`;
  await redis.call('XADD', key, '100-0', 'k', 'old', 't', 'old', 'm', 0, 'h', '{}', 'p', 'old');
  await stream.append(stream.database, [event('a')]);
  const stopping = new AbortController();
  const relaying = runRedisRelay({ source: stream, redis, log: silentLog }, stopping.signal);
  t.after(async () => {
    stopping.abort();
    await relaying;
    await redis.close();
  });
  await until(async () => ((await redis.call('XRANGE', key, '-', '+')) as [string][]).map(([id]) => id).join() === '1-0');
});
