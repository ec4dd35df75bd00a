import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Fault } from '../fault.ts';
import { postgresFactory, postgresForFile } from '../testing/databases.ts';
import { until } from '../testing/engines.ts';
import { databaseSuite } from './database.suite.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);
const factory = postgresFactory(server);

databaseSuite(factory, skip);

const reasonOf = (error: unknown): string => (error instanceof Fault ? error.reason : String(error));

test('a killed server is unavailable, and used again when it is back', { skip }, async (t) => {
  const database = await factory.open(t);
  await database.run('create table t (a bigint)');
  let wakes = 0;
  t.after(database.listen('topic', () => (wakes += 1)));
  await until(() => wakes > 0); // The listener says hello when it is connected.
  const open = Promise.withResolvers<void>();
  const killed = Promise.withResolvers<void>();
  const interrupted = database.transaction(async (tx) => {
    await tx.run('insert into t values (1)');
    open.resolve();
    await killed.promise;
    await tx.run('insert into t values (2)');
  });
  await open.promise;
  await server().kill();
  killed.resolve();
  await assert.rejects(interrupted, (error) => reasonOf(error) === 'database_unreachable');
  await assert.rejects(database.run('insert into t values (3)'), (error) => reasonOf(error) === 'database_unreachable');
  await assert.rejects(database.check(AbortSignal.timeout(1000)), (error) => reasonOf(error) === 'database_unreachable');
  const wakesBefore = wakes;
  await server().restart();
  await database.run('insert into t values (4)');
  assert.deepEqual(await database.all('select a from t'), [{ a: 4 }]);
  await until(() => wakes > wakesBefore);
});

test('transactions in each other’s way are run again', { skip }, async (t) => {
  const database = await factory.open(t);
  await database.run('create table t (id bigint primary key, n bigint not null)');
  await database.run('insert into t values (1, 0), (2, 0)');
  let runs = 0;
  const both = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  const cross = (mine: 0 | 1) =>
    database.transaction(async (tx) => {
      runs += 1;
      await tx.run('update t set n = n + 1 where id = $1', mine + 1);
      both[mine].resolve();
      await both[1 - mine]?.promise;
      await tx.run('update t set n = n + 1 where id = $1', 2 - mine);
    });
  await Promise.all([cross(0), cross(1)]);
  assert.ok(runs > 2);
  assert.deepEqual(await database.all('select n from t'), [{ n: 2 }, { n: 2 }]);
});

test('services on one server have schemas apart', { skip }, async (t) => {
  const url = await server().createDatabase();
  const index = await factory.open(t, { url, name: 'data.index' });
  const users = await factory.open(t, { url, name: 'users' });
  await index.run('create table t (a bigint)');
  await users.run('create table t (b bigint)');
  assert.deepEqual(await index.get('select current_schema() as schema'), { schema: 'data_index' });
});

test('a table changed by a migration elsewhere fails a prepared statement once', { skip }, async (t) => {
  const database = await factory.open(t, { connectionsMax: 1 });
  await database.run('create table t (a bigint)');
  assert.deepEqual(await database.all('select * from t'), []);
  await database.run('alter table t add column b bigint');
  await database.run('insert into t values (1, 2)');
  await assert.rejects(database.all('select * from t'), (error) => reasonOf(error) === 'tables_changed');
  assert.deepEqual(await database.all('select * from t'), [{ a: 1, b: 2 }]);
});
