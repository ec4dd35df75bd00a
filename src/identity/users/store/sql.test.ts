import { after } from 'node:test';
import { postgresFactory, postgresForFile, sqliteFactory } from '#kernel/testing/databases.ts';
import { userStoreSuite } from './store.suite.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);

userStoreSuite(sqliteFactory);
userStoreSuite(postgresFactory(server), skip);
