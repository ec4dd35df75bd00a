import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, describe, test } from 'node:test';
import { silentLog } from '../log.ts';
import { type DatabaseFactory, postgresFactory, postgresForFile, sqliteFactory } from '../testing/databases.ts';
import { fenced, prepareFences } from './fence.ts';
import { type LeaseStoreFactory, leasesSuite } from './leases.suite.ts';
import { createLeases } from './leases.ts';
import { openSqlLeaseStore } from './sql-leases.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);

const never = new AbortController().signal;

const on = (databases: DatabaseFactory): LeaseStoreFactory => ({
  name: databases.engine,
  async open(t) {
    const url = await databases.createUrl(t);
    const another = async () => openSqlLeaseStore({ database: await databases.open(t, { url }) });
    return { store: await another(), another };
  },
});

function fenceSuite(databases: DatabaseFactory, isSkipped: string | false = false): void {
  describe(`fences on ${databases.engine}`, { skip: isSkipped }, () => {
    test('an older epoch is refused once a newer one has written', async (t) => {
      const database = await databases.open(t);
      await prepareFences(database);
      await prepareFences(database);
      await database.run('create table t (a bigint)');
      const write = (epoch: number) =>
        database.transaction(async (tx) => {
          await fenced(tx, 'scan', epoch);
          await tx.run('insert into t values ($1)', epoch);
        });
      await write(1);
      await write(1);
      await write(3);
      await assert.rejects(write(2), { reason: 'lease_overtaken', code: 'aborted' });
      await database.transaction((tx) => fenced(tx, 'another', 1));
      assert.deepEqual(await database.all('select a from t order by a'), [{ a: 1 }, { a: 1 }, { a: 3 }]);
    });
  });
}

test('PostgreSQL killed: the lease is lost in time, and taken again when it is back', { skip }, async (t) => {
  const database = await postgresFactory(server).open(t);
  const leases = createLeases({ store: await openSqlLeaseStore({ database }), log: silentLog });
  const held = await leases.acquire('a', { holder: 'one', ttlMs: 300 }, never);
  await server().kill();
  await assert.rejects(leases.tryAcquire('b', { holder: 'one', ttlMs: 300 }), { code: 'unavailable' });
  if (!held.signal.aborted) await once(held.signal, 'abort');
  const waiting = leases.acquire('a', { holder: 'two', ttlMs: 300 }, never);
  await server().restart();
  const next = await waiting;
  assert.ok(next.epoch > held.epoch);
  await next.release();
});

test('on SQLite expiry follows the injected clock', async (t) => {
  let now = 1000;
  const store = await openSqlLeaseStore({ database: await sqliteFactory.open(t), now: () => now });
  assert.equal(await store.take('a', 'one', 500), 1);
  now = 1499;
  assert.equal(await store.take('a', 'two', 500), undefined);
  assert.equal(await store.renew('a', 1, 500), true);
  now = 1998;
  assert.equal(await store.take('a', 'two', 500), undefined);
  now = 1999;
  assert.equal(await store.take('a', 'two', 500), 2);
  assert.equal(await store.renew('a', 1, 500), false);
});

leasesSuite(on(sqliteFactory));
leasesSuite(on(postgresFactory(server)), skip);
fenceSuite(sqliteFactory);
fenceSuite(postgresFactory(server), skip);
