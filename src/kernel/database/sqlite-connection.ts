import { closeSync, openSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { Lru } from '#lib/lru.ts';
import type { Changes, SqlValue, SyncSql } from './database.ts';
import { isRead, sqlitePlaceholders } from './dialect.ts';
import { breaksConnection, sqliteFault } from './sqlite-faults.ts';

export interface ConnectionOptions {
  readonly file: string;
  readonly readOnly: boolean;
  readonly statementsMax: number;
}

/** How long SQLite itself waits for a lock, blocking the process; longer waits are ours and do not block. */
const blockingWaitMs = 5;

/** What is in a database is for nobody else, wherever it is copied to; SQLite gives the files beside it the same mode. */
function makePrivate({ file, readOnly }: ConnectionOptions): void {
  if (readOnly) return;
  try {
    closeSync(openSync(file, 'ax', 0o600));
  } catch {
    // It is there, or SQLite says in a moment what is wrong.
  }
}

/** One open file handle with its prepared statements. All faults of the driver leave here as `Fault`. */
export class Connection implements SyncSql {
  readonly #file: string;
  readonly #db: DatabaseSync;
  readonly #statements: Lru<string, Statement>;
  readonly #arrayStatements: Lru<string, Statement>;
  /** False for one that only reads, and on file systems that cannot have a write-ahead journal: each commit is on the disk then. */
  readonly hasJournal: boolean = false;
  #isBroken = false;

  constructor(options: ConnectionOptions) {
    this.#file = options.file;
    this.#statements = new Lru(options.statementsMax);
    this.#arrayStatements = new Lru(options.statementsMax);
    try {
      makePrivate(options);
      this.#db = new DatabaseSync(options.file, {
        readOnly: options.readOnly,
        timeout: blockingWaitMs,
        enableForeignKeyConstraints: true,
      });
    } catch (error) {
      throw sqliteFault(error, options.file);
    }
    try {
      // Pages are cached by the system too: twice as much here was no faster, and each service has several connections.
      this.#db.exec('pragma temp_store = memory; pragma cache_size = -8000;');
      if (options.readOnly) return;
      const { journal_mode: mode } = this.#db.prepare('pragma journal_mode = wal').get() ?? {};
      this.hasJournal = mode === 'wal';
      // With a journal commits do not wait for the disk here; those that have to do so together, see `journal-sync.ts`.
      this.#db.exec(`pragma synchronous = ${this.hasJournal ? 'normal' : 'full'}; pragma journal_size_limit = 67108864;`);
    } catch (error) {
      this.close();
      throw sqliteFault(error, options.file);
    }
  }

  /** True after an error that asks for a new connection. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  get isInTransaction(): boolean {
    return this.#db.isTransaction;
  }

  all<R extends object>(sql: string, ...params: SqlValue[]): R[] {
    try {
      return this.#statement(sql).all(params) as R[];
    } catch (error) {
      throw this.#fault(error);
    }
  }

  get<R extends object>(sql: string, ...params: SqlValue[]): R | undefined {
    try {
      return this.#statement(sql).get(params) as R | undefined;
    } catch (error) {
      throw this.#fault(error);
    }
  }

  rows(sql: string, ...params: SqlValue[]): SqlValue[][] {
    try {
      return this.#statement(sql, true).rows(params);
    } catch (error) {
      throw this.#fault(error);
    }
  }

  run(sql: string, ...params: SqlValue[]): Changes {
    try {
      return this.#statement(sql).run(params);
    } catch (error) {
      throw this.#fault(error);
    }
  }

  /** Several statements without parameters or results; for migrations. */
  exec(sql: string): void {
    try {
      this.#db.exec(sql);
    } catch (error) {
      throw this.#fault(error);
    }
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  #statement(sql: string, asArrays = false): Statement {
    const statements = asArrays ? this.#arrayStatements : this.#statements;
    const cached = statements.get(sql);
    if (cached) return cached;
    const prepared = this.#db.prepare(sqlitePlaceholders(sql));
    if (asArrays) prepared.setReturnArrays(true);
    const statement = new Statement(prepared, isRead(sql) || !/\breturning\b/i.test(sql));
    statements.set(sql, statement);
    return statement;
  }

  #fault(error: unknown): Error {
    if (breaksConnection(error)) this.#isBroken = true;
    return sqliteFault(error, this.#file);
  }
}

/**
 * A prepared statement whose integers arrive as numbers while they are safe. node:sqlite can read numbers (and throws for an
 * unsafe one) or bigints (slower): reads start with numbers and run again with bigints when that is needed; statements
 * that write and return rows cannot run twice and use bigints from the start.
 */
class Statement {
  readonly #statement: StatementSync;
  #hasBigInts: boolean;

  constructor(statement: StatementSync, isRepeatable: boolean) {
    this.#statement = statement;
    this.#hasBigInts = !isRepeatable;
    if (this.#hasBigInts) statement.setReadBigInts(true);
  }

  all(params: SqlValue[]): object[] {
    let rows: Record<string, SqlValue>[];
    try {
      rows = this.#statement.all(...params);
    } catch (error) {
      if (!this.#switchToBigInts(error)) throw error;
      rows = this.#statement.all(...params);
    }
    for (const row of rows) this.#plain(row);
    return rows;
  }

  get(params: SqlValue[]): object | undefined {
    let row: Record<string, SqlValue> | undefined;
    try {
      row = this.#statement.get(...params);
    } catch (error) {
      if (!this.#switchToBigInts(error)) throw error;
      row = this.#statement.get(...params);
    }
    return row && this.#plain(row);
  }

  rows(params: SqlValue[]): SqlValue[][] {
    let rows: SqlValue[][];
    try {
      rows = this.#statement.all(...params) as unknown as SqlValue[][];
    } catch (error) {
      if (!this.#switchToBigInts(error)) throw error;
      rows = this.#statement.all(...params) as unknown as SqlValue[][];
    }
    if (!this.#hasBigInts) return rows;
    return rows.map((row) => row.map((value) => (typeof value === 'bigint' ? safeInteger(value) : value)));
  }

  run(params: SqlValue[]): Changes {
    return { changes: Number(this.#statement.run(...params).changes) };
  }

  /** node:sqlite's rows have no prototype, which breaks deep comparison with rows of the other engine. */
  #plain(row: Record<string, SqlValue>): object {
    if (this.#hasBigInts) {
      for (const column in row) {
        const value = row[column];
        if (typeof value === 'bigint') row[column] = safeInteger(value);
      }
    }
    return Object.setPrototypeOf(row, Object.prototype) as object;
  }

  #switchToBigInts(error: unknown): boolean {
    if (this.#hasBigInts || !(error instanceof RangeError)) return false;
    this.#statement.setReadBigInts(true);
    this.#hasBigInts = true;
    return true;
  }
}

/** A 64-bit integer as a number when it is exact, else as it is. */
export function safeInteger(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
