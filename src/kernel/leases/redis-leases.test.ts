import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { openRedis } from '../database/redis.ts';
import { silentLog } from '../log.ts';
import { uniqueName } from '../testing/databases.ts';
import { redisMissing, startRedis } from '../testing/engines.ts';
import { type LeaseStoreFactory, leasesSuite } from './leases.suite.ts';
import { createLeases } from './leases.ts';
import { createRedisLeaseStore } from './redis-leases.ts';

const reason = await redisMissing();
const skip = reason ?? false;
const server = reason === undefined ? await startRedis() : undefined;
after(async () => server?.[Symbol.asyncDispose]());

const factory: LeaseStoreFactory = {
  name: 'Redis',
  async open(t) {
    const prefix = `${uniqueName('lease')}:`;
    const another = async () => {
      const redis = openRedis({ url: server?.url ?? '', log: silentLog });
      t.after(() => redis.close());
      return createRedisLeaseStore({ redis, prefix });
    };
    return { store: await another(), another };
  },
};

leasesSuite(factory, skip);

const never = new AbortController().signal;

test('Redis killed: the lease is lost in time, and the next one has a greater epoch even when Redis lost its data', {
  skip,
}, async (t) => {
  const { store } = await factory.open(t);
  const redis = openRedis({ url: server?.url ?? '', log: silentLog });
  t.after(() => redis.close());
  const leases = createLeases({ store, log: silentLog });
  const held = await leases.acquire('a', { holder: 'one', ttlMs: 200 }, never);
  await server?.kill();
  await assert.rejects(store.take('b', 'two', 1000), { code: 'unavailable' });
  if (!held.signal.aborted) await once(held.signal, 'abort');
  const waiting = leases.acquire('a', { holder: 'two', ttlMs: 200 }, never);
  await server?.restart();
  const next = await waiting;
  assert.ok(next.epoch > held.epoch);
  await next.release();
  await redis.call('FLUSHALL');
  const last = await leases.acquire('a', { holder: 'three', ttlMs: 200 }, never);
  assert.ok(last.epoch > next.epoch);
  await last.release();
});
