import type { Database, SqlValue } from '#kernel/database/database.ts';

/** Reading the last committed state: at once on SQLite, where an await of a value costs next to nothing, else by promise. */
export interface Reader {
  all<R extends object>(sql: string, ...params: SqlValue[]): R[] | Promise<R[]>;
  get<R extends object>(sql: string, ...params: SqlValue[]): R | undefined | Promise<R | undefined>;
  /** Rows as arrays of their columns. */
  rows(sql: string, ...params: SqlValue[]): SqlValue[][] | Promise<SqlValue[][]>;
}

export function readerOf(database: Database): Reader {
  if (database.sqlite) return database.sqlite;
  return {
    all: (sql, ...params) => database.all(sql, ...params),
    get: (sql, ...params) => database.get(sql, ...params),
    rows: async (sql, ...params) => (await database.all(sql, ...params)).map((row) => Object.values(row)),
  };
}
