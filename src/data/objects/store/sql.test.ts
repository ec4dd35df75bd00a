import { after } from 'node:test';
import { migrate } from '#kernel/database/migrations.ts';
import { type DatabaseFactory, postgresFactory, postgresForFile, sqliteFactory } from '#kernel/testing/databases.ts';
import { migrations } from './migrations.ts';
import { rememberRows } from './remember-rows.ts';
import { createSqlObjectStore } from './sql.ts';
import { objectStoreSuite } from './store.suite.ts';

const postgres = await postgresForFile();
after(() => postgres.stop());
const factories: readonly DatabaseFactory[] = postgres.skip ? [sqliteFactory] : [sqliteFactory, postgresFactory(postgres.server)];

for (const factory of factories) {
  objectStoreSuite(`objects on ${factory.engine}`, async (t) => {
    const database = await factory.open(t);
    await migrate(database, migrations);
    return createSqlObjectStore(database);
  });
  objectStoreSuite(`objects on ${factory.engine}, rows remembered`, async (t) => {
    const database = await factory.open(t);
    await migrate(database, migrations);
    return rememberRows(createSqlObjectStore(database));
  });
}
