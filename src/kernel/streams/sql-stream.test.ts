import { after } from 'node:test';
import { type DatabaseFactory, postgresFactory, postgresForFile, sqliteFactory } from '../testing/databases.ts';
import { openStream } from './sql-stream.ts';
import { type StreamFactory, streamSuite } from './streams.suite.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);

const on = (databases: DatabaseFactory): StreamFactory => ({
  name: databases.engine,
  async open(t, options) {
    const stream = await openStream({ database: await databases.open(t), name: 'test.changes', ...options });
    return { stream, source: stream };
  },
});

streamSuite(on(sqliteFactory));
streamSuite(on(postgresFactory(server)), skip);
