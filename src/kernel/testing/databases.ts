import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Database, Engine } from '../database/database.ts';
import { type OpenOptions, openDatabase } from '../database/open.ts';
import { silentLog } from '../log.ts';
import { postgresMissing, startPostgres, type TestPostgres, temporaryFolder } from './engines.ts';

/** Where a suite gets its databases from; each is new, empty and closed after the test. */
export interface DatabaseFactory {
  readonly engine: Engine;
  /** Another handle on the same tables when `url` is that of an earlier one. */
  open(t: TestContext, options?: Partial<OpenOptions>): Promise<Database>;
  /** The URL of a database that is new; for tests that open it several times. */
  createUrl(t: TestContext): Promise<string>;
}

export const sqliteFactory: DatabaseFactory = {
  engine: 'sqlite',
  async createUrl(t) {
    const folder = temporaryFolder();
    t.after(() => folder[Symbol.dispose]());
    return `sqlite:${join(folder.path, 'test.db')}`;
  },
  async open(t, options) {
    return opened(t, { url: options?.url ?? (await sqliteFactory.createUrl(t)), ...options });
  },
};

export function postgresFactory(server: () => TestPostgres): DatabaseFactory {
  return {
    engine: 'postgres',
    createUrl: () => server().createDatabase(),
    async open(t, options) {
      return opened(t, { url: options?.url ?? (await server().createDatabase()), ...options });
    },
  };
}

function opened(t: TestContext, options: Partial<OpenOptions> & { url: string }): Database {
  const database = openDatabase({ name: 'test', log: silentLog, ...options });
  t.after(() => database.close());
  return database;
}

/** A PostgreSQL server for one test file, or why there is none. */
export async function postgresForFile(): Promise<{
  readonly skip: string | false;
  readonly server: () => TestPostgres;
  stop(): Promise<void>;
}> {
  const reason = await postgresMissing();
  const server = reason === undefined ? await startPostgres() : undefined;
  return {
    skip: reason ?? false,
    server: () => {
      if (!server) throw new Error(reason);
      return server;
    },
    stop: async () => server?.[Symbol.asyncDispose](),
  };
}

/** A name nobody else uses. */
export const uniqueName = (prefix: string): string => `${prefix}-${randomUUID().slice(0, 8)}`;
