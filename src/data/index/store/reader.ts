import type { Engine, Frozen, SqlValue } from '#kernel/database/database.ts';

/** Reading the last committed state, or that of one moment: at once on SQLite, where an await of a value costs next to nothing, else by promise. */
export interface Reader {
  readonly engine: Engine;
  all<R extends object>(sql: string, ...params: SqlValue[]): R[] | Promise<R[]>;
  get<R extends object>(sql: string, ...params: SqlValue[]): R | undefined | Promise<R | undefined>;
  /** Rows as arrays of their columns. */
  rows(sql: string, ...params: SqlValue[]): SqlValue[][] | Promise<SqlValue[][]>;
}

export function readerOf(database: Frozen): Reader {
  const { engine, sqlite } = database;
  if (sqlite) {
    return {
      engine,
      all: (sql, ...params) => sqlite.all(sql, ...params),
      get: (sql, ...params) => sqlite.get(sql, ...params),
      rows: (sql, ...params) => sqlite.rows(sql, ...params),
    };
  }
  return {
    engine,
    all: (sql, ...params) => database.all(sql, ...params),
    get: (sql, ...params) => database.get(sql, ...params),
    rows: async (sql, ...params) => (await database.all(sql, ...params)).map((row) => Object.values(row)),
  };
}
