import { after } from 'node:test';
import { postgresFactory, postgresForFile, sqliteFactory } from '#kernel/testing/databases.ts';
import { policyStoreSuite } from './store.suite.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);

policyStoreSuite(sqliteFactory);
policyStoreSuite(postgresFactory(server), skip);
