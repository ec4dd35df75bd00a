import { after } from 'node:test';
import { postgresFactory, postgresForFile, sqliteFactory } from '#kernel/testing/databases.ts';
import { fleetStoreSuite } from './store.suite.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);

fleetStoreSuite(sqliteFactory);
fleetStoreSuite(postgresFactory(server), skip);
