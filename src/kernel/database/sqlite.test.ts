import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { Fault } from '../fault.ts';
import { silentLog } from '../log.ts';
import { sqliteFactory } from '../testing/databases.ts';
import { temporaryFolder, until } from '../testing/engines.ts';
import { databaseSuite } from './database.suite.ts';
import { openDatabase } from './open.ts';

databaseSuite(sqliteFactory);

const reasonOf = (error: unknown): string => (error instanceof Fault ? error.reason : String(error));

test('another program’s lock: unavailable after the busy timeout, reads go on, recovers', async (t) => {
  const url = await sqliteFactory.createUrl(t);
  const database = await sqliteFactory.open(t, { url, busyTimeoutMs: 50 });
  await database.run('create table t (a bigint)');
  const other = new DatabaseSync(url.slice('sqlite:'.length));
  other.exec('begin immediate');
  const startedAt = performance.now();
  await assert.rejects(database.run('insert into t values (1)'), (error) => reasonOf(error) === 'database_busy');
  assert.ok(performance.now() - startedAt < 1000);
  assert.deepEqual(await database.all('select * from t'), []);
  other.exec('rollback');
  other.close();
  await database.run('insert into t values (1)');
});

test('a file that vanishes is never made anew; it is used again when it is back', async (t) => {
  const url = await sqliteFactory.createUrl(t);
  const file = url.slice('sqlite:'.length);
  const database = await sqliteFactory.open(t, { url });
  await database.run('create table t (a bigint)');
  await database.transaction((tx) => tx.run('insert into t values (1)'));
  for (const suffix of ['', '-wal', '-shm']) renameSync(file + suffix, `${file}.away${suffix}`);
  await assert.rejects(database.check(AbortSignal.timeout(1000)), (error) => reasonOf(error) === 'database_missing');
  await assert.rejects(database.run('insert into t values (2)'), (error) => reasonOf(error) === 'database_missing');
  for (const suffix of ['', '-wal']) {
    if (existsSync(`${file}.away${suffix}`)) renameSync(`${file}.away${suffix}`, file + suffix);
  }
  await until(() =>
    database.check(AbortSignal.timeout(1000)).then(
      () => true,
      () => false,
    ),
  );
  await database.run('insert into t values (3)');
  assert.deepEqual(await database.all('select a from t order by a'), [{ a: 1 }, { a: 3 }]);
});

test('a full disk is said so and nothing needs a restart', async (t) => {
  using folder = temporaryFolder();
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', folder.path]);
  if (mounted.status !== 0) return t.skip('needs the right to mount a tmpfs; run as root');
  const database = openDatabase({ url: `sqlite:${join(folder.path, 'full.db')}`, name: 'full', log: silentLog });
  try {
    await database.run('create table t (a blob)');
    const data = new Uint8Array(100_000);
    const fill = async (): Promise<void> => {
      for (;;) await database.run('insert into t values ($1)', data);
    };
    await assert.rejects(fill(), (error) => reasonOf(error) === 'disk_full');
    await assert.rejects(
      database.transaction((tx) => tx.run('insert into t values ($1)', data), { group: true }),
      (error) => reasonOf(error) === 'disk_full',
    );
    assert.equal(spawnSync('mount', ['-o', 'remount,size=4m', folder.path]).status, 0);
    await database.run('insert into t values ($1)', data);
  } finally {
    await database.close();
    spawnSync('umount', [folder.path]);
  }
});

test('the queue has an end', async (t) => {
  const database = await sqliteFactory.open(t, { queueMax: 5 });
  await database.run('create table t (a bigint)');
  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, (_, index) => database.run('insert into t values ($1)', index)),
  );
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
  assert.ok(refused.length > 0);
  for (const outcome of refused) assert.equal(reasonOf(outcome.reason), 'queue_full');
});

test('whoever writes without a pause leaves room for others', async (t) => {
  const database = await sqliteFactory.open(t, { url: await sqliteFactory.createUrl(t) });
  await database.run('create table t (a bigint)');
  let isFired = false;
  setTimeout(() => {
    isFired = true;
  }, 1);
  for (let left = 100_000; left > 0 && !isFired; left -= 1) await database.run('insert into t values (1)');
  assert.ok(isFired);
});

test('synchronous statements work inside the transaction and read outside it', async (t) => {
  const database = await sqliteFactory.open(t);
  await database.run('create table t (a bigint)');
  await database.transaction(async (tx) => {
    for (let index = 0; index < 10; index += 1) tx.sqlite?.run('insert into t values ($1)', index);
  });
  assert.deepEqual(database.sqlite?.get('select count(*) as count from t'), { count: 10 });
});

test('a temporary database goes with its handle', async (t) => {
  const database = await sqliteFactory.open(t, { url: 'sqlite::memory:' });
  await database.run('create table t (a bigint)');
  assert.deepEqual(await database.all('select * from t'), []);
});

test('a URL of no known engine is refused', () => {
  assert.throws(() => openDatabase({ url: 'mysql://x', name: 'x', log: silentLog }), /neither/);
});

test('rows come as arrays in the order of their columns, with integers of any size', async (t) => {
  const database = await sqliteFactory.open(t);
  await database.run('create table t (a bigint, b text)');
  const sql = 'select b, a from t order by a';
  const [, large] = await database.transaction(async (tx) => {
    await tx.run("insert into t values (1, 'x')");
    assert.deepEqual(tx.sqlite?.rows(sql), [['x', 1]]);
    return tx.run("insert into t values ($1, 'y')", 2n ** 60n).then(() => [1, 2n ** 60n] as const);
  });
  assert.deepEqual(database.sqlite?.rows(sql), [
    ['x', 1],
    ['y', large],
  ]);
  assert.deepEqual(database.sqlite?.all('select a from t order by a'), [{ a: 1 }, { a: large }]);
});
