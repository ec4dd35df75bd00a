import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { type DatabaseFactory, postgresFactory, postgresForFile, sqliteFactory } from '../testing/databases.ts';
import { fenced, prepareFences } from './fence.ts';
import { type LeaseStoreFactory, leasesSuite } from './leases.suite.ts';
import { openSqlLeaseStore } from './sql-leases.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);

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

leasesSuite(on(sqliteFactory));
leasesSuite(on(postgresFactory(server)), skip);
fenceSuite(sqliteFactory);
fenceSuite(postgresFactory(server), skip);
