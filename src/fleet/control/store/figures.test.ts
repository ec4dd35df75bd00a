import { after } from 'node:test';
import { postgresFactory, postgresForFile, sqliteFactory } from '#kernel/testing/databases.ts';
import { figureStoreSuite } from './figures.suite.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);

figureStoreSuite(sqliteFactory);
figureStoreSuite(postgresFactory(server), skip);
