import { after } from 'node:test';
import { postgresFactory, postgresForFile, sqliteFactory } from '#kernel/testing/databases.ts';
import { snapshotStoreSuite } from './snapshot-store.suite.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);

snapshotStoreSuite(sqliteFactory);
snapshotStoreSuite(postgresFactory(server), skip);
