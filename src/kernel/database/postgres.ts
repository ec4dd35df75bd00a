import pg from 'pg';
import { backoffMs } from '#lib/backoff.ts';
import { pause } from '#lib/pause.ts';
import { aborted, Code, exhausted, Fault, unavailable } from '../fault.ts';
import type { Log } from '../log.ts';
import type { Changes, Database, Frozen, Row, SqlValue, Transaction, TransactionOptions } from './database.ts';
import { isConflict, isConnectionFault, postgresFault } from './postgres-faults.ts';
import { createListener, type Listener } from './postgres-listener.ts';
import { safeInteger } from './sqlite-connection.ts';

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`. */
  readonly url: string;
  readonly name: string;
  /** The schema that holds this service's tables; made when missing. */
  readonly schema: string;
  readonly log: Log;
  /** Connections kept at most; 10 when absent. */
  readonly connectionsMax?: number;
  /** How many calls may wait for a connection; 10 000 when absent. */
  readonly queueMax?: number;
  /** How long to wait for a connection; 5 000 when absent. */
  readonly connectTimeoutMs?: number;
  /** How long one statement may run; 30 000 when absent. */
  readonly statementTimeoutMs?: number;
  /** How many statement texts are prepared under a name on each connection; 500 when absent, others run unprepared. */
  readonly statementsMax?: number;
}

const attemptsMax = 5;

/** Object identifiers of the types that PostgreSQL's wire protocol sends as text (pg_type.dat). */
const Oid = { Bool: 16, Int8: 20, Json: 114, Numeric: 1700, Jsonb: 3802 } as const;

const parsers: Readonly<Record<number, (text: string) => SqlValue>> = {
  [Oid.Bool]: (text) => (text === 't' ? 1 : 0),
  [Oid.Int8]: (text) => safeInteger(BigInt(text)),
  [Oid.Numeric]: (text) => (/^-?\d+$/.test(text) ? safeInteger(BigInt(text)) : Number(text)),
  [Oid.Json]: (text) => text,
  [Oid.Jsonb]: (text) => text,
};

const types: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') => parsers[oid] ?? pg.types.getTypeParser(oid, format ?? 'text'),
} as pg.CustomTypesConfig;

/** The settings of one connection; also used by the listener, which is no part of the pool. */
function clientConfig(options: PostgresOptions): pg.ClientConfig {
  const statementTimeoutMs = options.statementTimeoutMs ?? 30_000;
  return {
    connectionString: options.url,
    application_name: `cellar ${options.name}`,
    options: `-c search_path=${options.schema}`,
    keepAlive: true,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 5000,
    statement_timeout: statementTimeoutMs,
    // Longer than the server's own limit, so it only ends a wait for a server that fell silent.
    query_timeout: statementTimeoutMs + 5000,
    types,
  };
}

export function createPostgresDatabase(options: PostgresOptions): Database {
  return new PostgresDatabase(options);
}

class PostgresDatabase implements Database {
  readonly engine = 'postgres';
  readonly isDurable = true;
  readonly name: string;
  readonly sqlite = undefined;
  readonly schema: string;
  readonly #log: Log;
  readonly #pool: pg.Pool;
  readonly #listener: Listener;
  readonly #queueMax: number;
  readonly #statementsMax: number;
  readonly #statementNames = new Map<string, string>();
  #schemaReady: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: PostgresOptions) {
    if (!/^[a-z_][a-z0-9_]{0,62}$/.test(options.schema))
      throw new TypeError(`Schema name ${JSON.stringify(options.schema)} is not a plain identifier`);
    this.name = options.name;
    this.schema = options.schema;
    this.#log = options.log.with({ database: options.name });
    this.#queueMax = options.queueMax ?? 10_000;
    this.#statementsMax = options.statementsMax ?? 500;
    const config = clientConfig(options);
    this.#pool = new pg.Pool({ ...config, max: options.connectionsMax ?? 10, idleTimeoutMillis: 30_000 });
    // An idle connection that breaks is replaced by the pool; a busy one reports the same error to its statement.
    this.#pool.on('error', (error) => this.#log.warn('An idle database connection broke', { error }));
    this.#pool.on('connect', (client) =>
      client.on('error', (error) => this.#log.debug('A database connection broke', { error })),
    );
    this.#listener = createListener({ connect: () => new pg.Client(config), log: this.#log });
  }

  async all<R extends object = Row>(sql: string, ...params: SqlValue[]): Promise<R[]> {
    return (await this.#query(sql, params)).rows as R[];
  }

  async get<R extends object = Row>(sql: string, ...params: SqlValue[]): Promise<R | undefined> {
    return (await this.#query(sql, params)).rows[0] as R | undefined;
  }

  async run(sql: string, ...params: SqlValue[]): Promise<Changes> {
    return { changes: (await this.#query(sql, params)).rowCount ?? 0 };
  }

  async transaction<T>(body: (tx: Transaction) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#attempt(body, options);
      } catch (error) {
        if (!isConflict(error) || attempt >= attemptsMax) throw error;
      }
      try {
        await pause(backoffMs({ firstMs: 5, maxMs: 200 }, attempt), options.signal);
      } catch (error) {
        throw Fault.from(error);
      }
    }
  }

  async frozen<T>(body: (reads: Frozen) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    const tx = new PostgresTransaction(this, client);
    try {
      await tx.command('begin isolation level repeatable read read only');
      return await body({
        engine: this.engine,
        sqlite: undefined,
        all: (sql, ...params) => tx.all(sql, ...params),
        get: (sql, ...params) => tx.get(sql, ...params),
      });
    } finally {
      const isDoomed = tx.isConnectionLost || !(await tx.rollback());
      tx.close();
      client.release(isDoomed);
    }
  }

  listen(topic: string, wake: () => void): () => void {
    return this.#listener.listen(`${this.schema}:${topic}`, wake);
  }

  async sync(): Promise<void> {
    // The engine shows nothing that it has not made durable.
  }

  async check(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.get('select 1 as one');
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await Promise.all([this.#listener.close(), this.#pool.end()]);
  }

  /** The form of a statement that pg prepares once per connection. The number of names is bounded: servers keep them for ever. */
  statement(text: string, values: SqlValue[]): pg.QueryConfig {
    let name = this.#statementNames.get(text);
    if (name === undefined) {
      if (this.#statementNames.size >= this.#statementsMax) return { text, values };
      name = `s${this.#statementNames.size}`;
      this.#statementNames.set(text, name);
    }
    return { name, text, values };
  }

  async #query(sql: string, params: SqlValue[]): Promise<pg.QueryResult> {
    const client = await this.#connect();
    let fault: Fault | undefined;
    try {
      return await client.query(this.statement(sql, params));
    } catch (error) {
      fault = postgresFault(error, this.name);
      throw fault;
    } finally {
      client.release(fault !== undefined && isConnectionFault(fault));
    }
  }

  async #attempt<T>(body: (tx: Transaction) => Promise<T>, options: TransactionOptions): Promise<T> {
    if (options.signal?.aborted) throw Fault.from(options.signal.reason);
    const client = await this.#connect();
    const tx = new PostgresTransaction(this, client);
    let isDoomed = false;
    try {
      const value = await this.#withLimits(tx, options, async () => {
        await tx.command('begin');
        return body(tx);
      });
      tx.assertUsable();
      await this.#commit(tx);
      this.#runAfterCommit(tx);
      return value;
    } catch (error) {
      isDoomed = tx.isConnectionLost || !(await tx.rollback());
      throw error;
    } finally {
      tx.close();
      client.release(isDoomed);
    }
  }

  async #commit(tx: PostgresTransaction): Promise<void> {
    try {
      await tx.command('commit');
    } catch (error) {
      if (!tx.isConnectionLost) throw error;
      throw unavailable(`The connection to database ${this.name} broke during a commit; whether it took effect is not known`, {
        reason: 'commit_unknown',
        cause: error,
      });
    }
  }

  /** Runs `work` until it settles, its time is up or the signal fires; afterwards the transaction refuses statements. */
  #withLimits<T>(tx: PostgresTransaction, options: TransactionOptions, work: () => Promise<T>): Promise<T> {
    const { signal, timeoutMs = 30_000 } = options;
    return new Promise((resolve, reject) => {
      const stop = (fault: Fault): void => {
        tx.abandon();
        reject(fault);
      };
      const late = `The transaction on ${this.name} was open for more than ${timeoutMs} ms`;
      const timer = setTimeout(() => stop(new Fault(Code.DeadlineExceeded, late, { reason: 'transaction_timeout' })), timeoutMs);
      const abort = (): void => stop(Fault.from(signal?.reason));
      signal?.addEventListener('abort', abort, { once: true });
      Promise.try(work)
        .then(resolve, reject)
        .finally(() => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', abort);
        });
    });
  }

  #runAfterCommit(tx: PostgresTransaction): void {
    for (const fn of tx.afterCommitCallbacks) {
      try {
        fn();
      } catch (error) {
        this.#log.error('A callback after a commit failed', { error });
      }
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    if (this.#isClosed) throw unavailable(`Database ${this.name} is closed`, { reason: 'database_closed' });
    if (this.#pool.waitingCount >= this.#queueMax) {
      throw exhausted(`Database ${this.name} has ${this.#queueMax} calls waiting for a connection`, {
        reason: 'queue_full',
        retryAfterMs: 1000,
      });
    }
    this.#schemaReady ??= this.#createSchema().catch((error: unknown) => {
      this.#schemaReady = undefined;
      throw error;
    });
    await this.#schemaReady;
    try {
      return await this.#pool.connect();
    } catch (error) {
      throw postgresFault(error, this.name);
    }
  }

  async #createSchema(): Promise<void> {
    try {
      const found = await this.#pool.query('select 1 from pg_namespace where nspname = $1', [this.schema]);
      if (found.rowCount === 0) await this.#pool.query(`create schema if not exists ${this.schema}`);
    } catch (error) {
      const fault = postgresFault(error, this.name);
      // Two starters at once: PostgreSQL may report the other's row instead of "exists".
      if (fault.reason !== 'unique_violation') throw fault;
    }
  }
}

class PostgresTransaction implements Transaction {
  readonly database: PostgresDatabase;
  readonly sqlite = undefined;
  readonly afterCommitCallbacks: (() => void)[] = [];
  readonly #client: pg.PoolClient;
  #state: 'open' | 'failed' | 'closed' = 'open';
  #isConnectionLost = false;

  constructor(database: PostgresDatabase, client: pg.PoolClient) {
    this.database = database;
    this.#client = client;
  }

  get isConnectionLost(): boolean {
    return this.#isConnectionLost;
  }

  async all<R extends object = Row>(sql: string, ...params: SqlValue[]): Promise<R[]> {
    return (await this.#query(this.database.statement(sql, params))).rows as R[];
  }

  async get<R extends object = Row>(sql: string, ...params: SqlValue[]): Promise<R | undefined> {
    return (await this.#query(this.database.statement(sql, params))).rows[0] as R | undefined;
  }

  async run(sql: string, ...params: SqlValue[]): Promise<Changes> {
    return { changes: (await this.#query(this.database.statement(sql, params))).rowCount ?? 0 };
  }

  async script(sql: string): Promise<void> {
    await this.#query({ text: sql });
  }

  afterCommit(fn: () => void): void {
    this.afterCommitCallbacks.push(fn);
  }

  async notify(topic: string): Promise<void> {
    await this.run('select pg_notify($1, $2)', 'cellar', `${this.database.schema}:${topic}`);
  }

  async command(sql: 'begin' | 'begin isolation level repeatable read read only' | 'commit'): Promise<void> {
    await this.#query({ text: sql });
  }

  assertUsable(): void {
    if (this.#state === 'open') return;
    throw aborted(this.#state === 'failed' ? 'A statement of the transaction failed before' : 'The transaction is over', {
      reason: 'transaction_lost',
    });
  }

  /** Ends the transaction while a statement may still be running: its connection cannot be used again. */
  abandon(): void {
    this.#state = 'closed';
    this.#isConnectionLost = true;
  }

  close(): void {
    this.#state = 'closed';
  }

  /** True when the connection is clean again. */
  async rollback(): Promise<boolean> {
    this.#state = 'closed';
    try {
      await this.#client.query('rollback');
      return true;
    } catch {
      return false; // The caller throws the connection away, which rolls back too; the error that led here is already on its way.
    }
  }

  async #query(query: pg.QueryConfig): Promise<pg.QueryResult> {
    this.assertUsable();
    try {
      return await this.#client.query(query);
    } catch (error) {
      const fault = postgresFault(error, this.database.name);
      if (this.#state === 'open') this.#state = 'failed';
      if (isConnectionFault(fault)) this.#isConnectionLost = true;
      throw fault;
    }
  }
}
