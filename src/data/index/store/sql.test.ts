import { after } from 'node:test';
import { postgresFactory, postgresForFile, sqliteFactory } from '#kernel/testing/databases.ts';
import { treeStoreSuite } from './store.suite.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);

treeStoreSuite(sqliteFactory, { runs: 300 });
treeStoreSuite(postgresFactory(server), { skip, runs: 100 });
