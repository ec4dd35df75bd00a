/** What a column holds and a parameter may be. 64-bit integers are numbers while they are safe integers, else bigints. */
export type SqlValue = string | number | bigint | Uint8Array | null;

export interface Row {
  readonly [column: string]: SqlValue;
}

/**
 * Statements, offered by the database and by an open transaction alike. Placeholders are `$1`, `$2` ... on every engine.
 *
 * Rows are plain objects. A truth value reads as 1 or 0 on every engine.
 * Errors: `Fault`. `unavailable` when the engine is busy or away (it comes back by itself), `already_exists` with reason
 * `unique_violation`, `failed_precondition` with reason `foreign_key_violation` or `constraint_violation`,
 * `resource_exhausted` with reason `disk_full` or `queue_full`, `data_loss` for a damaged file.
 */
export interface Sql {
  all<R extends object = Row>(sql: string, ...params: SqlValue[]): Promise<R[]>;
  get<R extends object = Row>(sql: string, ...params: SqlValue[]): Promise<R | undefined>;
  run(sql: string, ...params: SqlValue[]): Promise<Changes>;
}

export interface Changes {
  /** Rows inserted, updated or deleted by the statement. */
  readonly changes: number;
}

/**
 * The same three verbs without promises: SQLite only, for stores that run hot. Statements are prepared once and cached by
 * their text. Not yielding is the point and the price: nothing else in the process runs meanwhile, so keep batches small.
 */
export interface SyncSql {
  all<R extends object = Row>(sql: string, ...params: SqlValue[]): R[];
  get<R extends object = Row>(sql: string, ...params: SqlValue[]): R | undefined;
  /** Rows as arrays of their columns, in the order of the statement: twice as fast as objects. */
  rows(sql: string, ...params: SqlValue[]): SqlValue[][];
  run(sql: string, ...params: SqlValue[]): Changes;
}

/**
 * An open transaction. Its statements run one at a time: await each. After one failed statement it is lost on every engine:
 * let the error pass and start again.
 */
export interface Transaction extends Sql {
  readonly database: Database;
  /** Synchronous statements in this transaction; absent unless the engine is SQLite. */
  readonly sqlite: SyncSql | undefined;
  /** Several statements, separated by semicolons, without parameters or results; for migrations. */
  script(sql: string): Promise<void>;
  /** Runs `fn` once after the commit, before `transaction()` resolves; never after a rollback. Must not throw. */
  afterCommit(fn: () => void): void;
  /** Wakes the listeners of `topic` after the commit, see `Database.listen`. */
  notify(topic: string): Promise<void>;
}

export interface TransactionOptions {
  readonly signal?: AbortSignal;
  /** How long the transaction may stay open before it is rolled back; 30 000 when absent. */
  readonly timeoutMs?: number;
  /**
   * Lets SQLite commit this transaction together with its neighbours in the queue, each still all or nothing, none
   * acknowledged before the shared commit. Many times faster for small writes. Only for bodies that await nothing but
   * their own statements: a body that waits for a neighbour would wait until its time is up. Ignored by PostgreSQL.
   */
  readonly group?: boolean;
}

/** Reads that all see one moment, see `Database.frozen`. */
export interface Frozen extends Pick<Sql, 'all' | 'get'> {
  readonly engine: Engine;
  /** The same at once; absent unless the engine is SQLite. */
  readonly sqlite: Pick<SyncSql, 'all' | 'get' | 'rows'> | undefined;
}

/**
 * One service's tables on one engine.
 *
 * On SQLite transactions run one after another; statements outside a transaction see the last committed state and are
 * never blocked by an open one. On PostgreSQL the isolation is `read committed`.
 */
export interface Database extends Sql {
  readonly engine: Engine;
  readonly name: string;
  /** What a transaction has answered outlives a power cut. Readers may see it a moment before it does: see `sync`. */
  readonly isDurable: boolean;
  /** Synchronous reads of the last committed state; absent unless the engine is SQLite. */
  readonly sqlite: Pick<SyncSql, 'all' | 'get' | 'rows'> | undefined;
  /**
   * Runs `body` in a transaction: commits when it resolves, rolls back when it rejects or its time is up. A conflict
   * between transactions runs it again, up to five times, so it has no effects but its statements and `afterCommit`.
   * A body that opens another transaction on the same database would wait for itself on SQLite: pass `tx` on and `join` it.
   * Errors: as statements; `aborted` when it conflicts every time; `unavailable` with reason `commit_unknown` when the
   * connection broke during the commit; `canceled` by the signal; `deadline_exceeded` after `timeoutMs`.
   */
  transaction<T>(body: (tx: Transaction) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /**
   * Runs `body` with reads that all see the database as it is now, while others go on writing: for copies of many rows. The engine keeps what
   * is deleted meanwhile, so it should end.
   */
  frozen<T>(body: (reads: Frozen) => Promise<T>): Promise<T>;
  /**
   * Calls `wake` after commits that notified `topic`, until the returned function is called. A hint only: it may come
   * too often, and is missed when the writer is another process on SQLite or the connection broke; poll slowly as well.
   */
  listen(topic: string, wake: () => void): () => void;
  /** Brings all that is committed now to the disk. Transactions of a durable database wait for that by themselves. */
  sync(): Promise<void>;
  /** Resolves when a statement can run now. Errors: `unavailable` when it cannot. */
  check(signal: AbortSignal): Promise<void>;
  /** Waits for the open transaction, refuses the waiting ones with `unavailable` and closes every connection. */
  close(): Promise<void>;
}

export type Engine = 'sqlite' | 'postgres';

/** Either a database or a transaction that is already open; what stores take so that callers can combine them. */
export type Session = Database | Transaction;

/** Runs `body` in the caller's transaction when there is one, else in one of its own. */
export function join<T>(session: Session, body: (tx: Transaction) => Promise<T>, options?: TransactionOptions): Promise<T> {
  return 'transaction' in session ? session.transaction(body, options) : body(session);
}

/** The database a session belongs to. */
export function databaseOf(session: Session): Database {
  return 'transaction' in session ? session : session.database;
}
