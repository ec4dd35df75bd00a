import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { backoffMs } from '#lib/backoff.ts';
import { pause } from '#lib/pause.ts';
import { aborted, Code, exhausted, Fault, unavailable } from '../fault.ts';
import type { Log } from '../log.ts';
import { syncFolderNow } from '../sync-folder.ts';
import type { Changes, Database, Frozen, Row, SqlValue, SyncSql, Transaction, TransactionOptions } from './database.ts';
import { isRead } from './dialect.ts';
import { type JournalSync, openJournalSync } from './journal-sync.ts';
import { Connection } from './sqlite-connection.ts';

export interface SqliteOptions {
  /** Path of the file, made with its folder when new; `:memory:` for a temporary one that goes with `close`. */
  readonly file: string;
  readonly name: string;
  readonly log: Log;
  /** Every commit reaches the disk before it is acknowledged. Default false: a power cut may lose the last moments, never consistency. */
  readonly durable?: boolean;
  /** How long to wait for another program's lock; 5 000 when absent. */
  readonly busyTimeoutMs?: number;
  /** How many transactions may wait; 10 000 when absent. */
  readonly queueMax?: number;
  /** How many prepared statements to keep per connection; 500 when absent. */
  readonly statementsMax?: number;
}

/** A body waiting for its turn on the one connection that writes. */
interface Job {
  readonly body: (tx: Transaction) => Promise<unknown>;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number;
  readonly isGroupable: boolean;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Bounds of one shared commit: how many transactions, and for how long the first of them waits. */
const groupSizeMax = 100;
const groupMsMax = 10;
/** How long transactions may keep the event loop in one turn. */
const turnMsMax = 10;

/** How often the file is looked at, to notice that it was removed or replaced under us. */
const fileCheckMs = 100;

export function createSqliteDatabase(options: SqliteOptions): Database {
  return new SqliteDatabase(options);
}

class SqliteDatabase implements Database {
  readonly engine = 'sqlite';
  readonly name: string;
  readonly isDurable: boolean;
  readonly sqlite: Pick<SyncSql, 'all' | 'get' | 'rows'>;
  readonly #file: string;
  readonly #temporaryFolder: string | undefined;
  readonly #log: Log;
  readonly #busyTimeoutMs: number;
  readonly #queueMax: number;
  readonly #statementsMax: number;
  readonly #queue: Job[] = [];
  readonly #listeners = new Map<string, Set<() => void>>();
  readonly #closing = new AbortController();
  #writer: Connection | undefined;
  #reader: Connection | undefined;
  /** Of the connection that writes, when commits have to reach the disk. */
  #journal: JournalSync | undefined;
  /** The disk has failed to take the journal: nothing that follows in it may be lasting. */
  #isJournalDoubtful = false;
  #inode: number | undefined;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #draining: Promise<void> | undefined;
  /** When the first transaction of this turn of the event loop began. */
  #turnAt: number | undefined;

  constructor(options: SqliteOptions) {
    this.name = options.name;
    this.#log = options.log.with({ database: options.name });
    this.isDurable = options.durable ?? false;
    this.#busyTimeoutMs = options.busyTimeoutMs ?? 5000;
    this.#queueMax = options.queueMax ?? 10_000;
    this.#statementsMax = options.statementsMax ?? 500;
    if (options.file === ':memory:') this.#temporaryFolder = mkdtempSync(join(tmpdir(), 'cellar-'));
    this.#file = this.#temporaryFolder ? join(this.#temporaryFolder, 'database.db') : options.file;
    this.sqlite = {
      all: <R extends object>(sql: string, ...params: SqlValue[]) => this.#connectReader().all<R>(sql, ...params),
      get: <R extends object>(sql: string, ...params: SqlValue[]) => this.#connectReader().get<R>(sql, ...params),
      rows: (sql, ...params) => this.#connectReader().rows(sql, ...params),
    };
  }

  async all<R extends object = Row>(sql: string, ...params: SqlValue[]): Promise<R[]> {
    if (isRead(sql)) return this.#read(() => this.#connectReader().all<R>(sql, ...params));
    return this.transaction((tx) => tx.all<R>(sql, ...params), { group: true });
  }

  async get<R extends object = Row>(sql: string, ...params: SqlValue[]): Promise<R | undefined> {
    if (isRead(sql)) return this.#read(() => this.#connectReader().get<R>(sql, ...params));
    return this.transaction((tx) => tx.get<R>(sql, ...params), { group: true });
  }

  run(sql: string, ...params: SqlValue[]): Promise<Changes> {
    return this.transaction((tx) => tx.run(sql, ...params), { group: true });
  }

  transaction<T>(body: (tx: Transaction) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    if (this.#closing.signal.aborted) return Promise.reject(closed(this.name));
    if (this.#queue.length >= this.#queueMax) {
      return Promise.reject(
        exhausted(`Database ${this.name} has ${this.#queueMax} transactions waiting`, {
          reason: 'queue_full',
          retryAfterMs: 1000,
        }),
      );
    }
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({
        body,
        signal: options.signal,
        timeoutMs: options.timeoutMs ?? 30_000,
        isGroupable: options.group ?? false,
        resolve: resolve as (value: unknown) => void,
        reject,
      });
      this.#draining ??= this.#drain();
    });
  }

  async frozen<T>(body: (reads: Frozen) => Promise<T>): Promise<T> {
    await this.check(this.#closing.signal);
    const connection = this.#open(true);
    try {
      connection.run('begin');
      connection.get('select count(*) as tables from sqlite_schema'); // The moment is that of the first read.
      return await body({
        engine: this.engine,
        sqlite: connection,
        all: async <R extends object>(sql: string, ...params: SqlValue[]) => connection.all<R>(sql, ...params),
        get: async <R extends object>(sql: string, ...params: SqlValue[]) => connection.get<R>(sql, ...params),
      });
    } finally {
      connection.close();
    }
  }

  listen(topic: string, wake: () => void): () => void {
    const listeners = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, listeners);
    const listener = (): void => wake();
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(topic) === listeners) this.#listeners.delete(topic);
    };
  }

  wake(topic: string): void {
    for (const listener of this.#listeners.get(topic) ?? []) listener();
  }

  async check(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#closing.signal.aborted) throw closed(this.name);
    this.#checkedAt = Number.NEGATIVE_INFINITY;
    await this.get('select count(*) as tables from sqlite_schema');
  }

  async close(): Promise<void> {
    if (!this.#closing.signal.aborted) {
      this.#closing.abort();
      for (const job of this.#queue.splice(0)) job.reject(closed(this.name));
    }
    await this.#draining;
    // Who waits for the disk is told by it.
    if (this.isDurable) await this.sync().catch(() => undefined);
    this.#disconnect();
    if (this.#temporaryFolder) rmSync(this.#temporaryFolder, { recursive: true, force: true });
  }

  /** Runs the waiting transactions one after another until none is left. */
  async #drain(): Promise<void> {
    await undefined; // Whoever asks in the same tick shares the first commit; and the caller has noted that we run.
    for (let job = this.#queue.shift(); job; job = this.#queue.shift()) {
      if (job.signal?.aborted) {
        job.reject(Fault.from(job.signal.reason));
        continue;
      }
      if (this.#isTurnOver()) await turn();
      try {
        const connection = await this.#begin(job.signal);
        await this.#runGroup(connection, job);
      } catch (error) {
        job.reject(error);
      }
    }
    this.#draining = undefined;
  }

  /** Transactions alone never leave a turn of the event loop: many in a row would keep the process from all else. */
  #isTurnOver(): boolean {
    const now = performance.now();
    if (this.#turnAt !== undefined) return now - this.#turnAt > turnMsMax;
    this.#turnAt = now;
    setImmediate(() => {
      this.#turnAt = undefined;
    });
    return false;
  }

  /** Opens the transaction; other programs' locks are waited for without blocking the process. */
  async #begin(signal: AbortSignal | undefined): Promise<Connection> {
    return this.#patiently(() => {
      const connection = this.#connectWriter();
      if (this.#isJournalDoubtful) this.#renewJournal(connection);
      connection.run('begin immediate');
      return connection;
    }, signal);
  }

  /** One commit: the job, and after it its groupable neighbours, each in a savepoint of its own. */
  async #runGroup(connection: Connection, first: Job): Promise<void> {
    const startedAt = performance.now();
    const finished: { job: Job; value: unknown; tx: SqliteTransaction }[] = [];
    let job: Job | undefined = first;
    for (let count = 1; job; count += 1) {
      const tx = new SqliteTransaction(this, connection);
      try {
        if (first.isGroupable) connection.run('savepoint member');
        const value = await this.#runBody(job, tx);
        tx.assertUsable();
        if (first.isGroupable) connection.run('release member');
        finished.push({ job, value, tx });
      } catch (error) {
        job.reject(error);
        tx.close();
        if (!connection.isInTransaction) {
          // SQLite undid the whole group itself: full disk, I/O error.
          for (const { job: member } of finished.splice(0)) member.reject(error);
          break;
        }
        if (first.isGroupable) connection.exec('rollback to member; release member');
      }
      tx.close();
      const isOver: boolean = !first.isGroupable || count >= groupSizeMax || performance.now() - startedAt > groupMsMax;
      job = isOver || !this.#queue[0]?.isGroupable ? undefined : this.#queue.shift();
    }
    try {
      if (finished.length > 0) connection.run('commit');
    } catch (error) {
      for (const { job: member } of finished) member.reject(error);
      finished.length = 0;
    }
    if (connection.isInTransaction) connection.run('rollback');
    for (const { tx } of finished) this.#runAfterCommit(tx);
    if (finished.length === 0) return;
    // The next transactions go on meanwhile. They are answered after this one: the disk takes the journal in order.
    (this.isDurable ? this.sync() : Promise.resolve()).then(
      () => {
        for (const { job: member, value } of finished) member.resolve(value);
      },
      (error: unknown) => {
        for (const { job: member } of finished) member.reject(error);
      },
    );
  }

  async sync(): Promise<void> {
    if (!this.#writer?.hasJournal) return;
    this.#journal ??= openJournalSync(this.#file, () => {
      this.#isJournalDoubtful = true;
    });
    await this.#journal.sync();
  }

  /** After a failure of the disk: has all that is in the journal brought to the file itself, and the journal begun anew. */
  #renewJournal(connection: Connection): void {
    const answer = connection.get<{ busy: number }>('pragma wal_checkpoint(truncate)');
    if (answer?.busy !== 0) {
      throw unavailable(`Database ${this.#file} waits for its readers, to write its journal anew after a failure of the disk`, {
        reason: 'database_busy',
        retryAfterMs: 100,
      });
    }
    this.#journal?.close();
    this.#journal = undefined;
    this.#isJournalDoubtful = false;
  }

  #runBody(job: Job, tx: SqliteTransaction): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const stop = (fault: Fault): void => {
        tx.close();
        reject(fault);
      };
      const late = `The transaction on ${this.name} was open for more than ${job.timeoutMs} ms`;
      const timer = setTimeout(
        () => stop(new Fault(Code.DeadlineExceeded, late, { reason: 'transaction_timeout' })),
        job.timeoutMs,
      );
      const abort = (): void => stop(Fault.from(job.signal?.reason));
      job.signal?.addEventListener('abort', abort, { once: true });
      Promise.try(job.body, tx)
        .then(resolve, reject)
        .finally(() => {
          clearTimeout(timer);
          job.signal?.removeEventListener('abort', abort);
        });
    });
  }

  #runAfterCommit(tx: SqliteTransaction): void {
    for (const fn of tx.afterCommitCallbacks) {
      try {
        fn();
      } catch (error) {
        this.#log.error('A callback after a commit failed', { error });
      }
    }
  }

  async #read<T>(read: () => T): Promise<T> {
    if (this.#closing.signal.aborted) throw closed(this.name);
    try {
      return read();
    } catch (error) {
      if (!isBusyFault(error)) throw error;
      return this.#patiently(read, undefined);
    }
  }

  /** Repeats while another program has the lock, up to the busy timeout. */
  async #patiently<T>(action: () => T, signal: AbortSignal | undefined): Promise<T> {
    const deadline = performance.now() + this.#busyTimeoutMs;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return action();
      } catch (error) {
        if (!isBusyFault(error) || performance.now() >= deadline || this.#closing.signal.aborted) throw error;
      }
      try {
        await pause(backoffMs({ firstMs: 2, maxMs: 50 }, attempt), signal);
      } catch (error) {
        throw Fault.from(error);
      }
    }
  }

  #connectWriter(): Connection {
    this.#checkFile();
    // A transaction still open here is one whose rollback failed.
    if (this.#writer?.isBroken || this.#writer?.isInTransaction) this.#disconnect();
    this.#writer ??= this.#open(false);
    return this.#writer;
  }

  #connectReader(): Connection {
    this.#checkFile();
    if (this.#reader?.isBroken) {
      this.#reader.close();
      this.#reader = undefined;
    }
    // The writer makes the file and its journal, which a reader cannot.
    if (!this.#reader && !this.#writer) this.#writer = this.#open(false);
    this.#reader ??= this.#open(true);
    return this.#reader;
  }

  /**
   * Closes connections to a file that is no longer at its path: what they write would be lost. A file that vanished is never
   * made anew, because an unmounted disk must not look like an empty database.
   */
  #checkFile(): void {
    if (this.#inode === undefined) return;
    const now = performance.now();
    if (now - this.#checkedAt < fileCheckMs || this.#writer?.isInTransaction) return;
    const inode = inodeOf(this.#file);
    if (inode === undefined) {
      this.#disconnect();
      throw unavailable(`Database ${this.#file} is missing`, {
        reason: 'database_missing',
        hint: 'Mount its disk again or restore the file from a backup; nothing needs a restart.',
      });
    }
    if (inode !== this.#inode) this.#disconnect();
    this.#inode = inode;
    this.#checkedAt = now;
  }

  #open(readOnly: boolean): Connection {
    if (this.#inode === undefined) this.#makeFolder();
    const connection = new Connection({ file: this.#file, readOnly, statementsMax: this.#statementsMax });
    this.#inode ??= inodeOf(this.#file);
    return connection;
  }

  #makeFolder(): void {
    const folder = dirname(this.#file);
    try {
      const first = mkdirSync(folder, { recursive: true });
      for (let made = folder; first && made.length >= first.length; made = dirname(made)) syncFolderNow(dirname(made));
    } catch (error) {
      throw unavailable(`Folder ${folder} of database ${this.name} cannot be made`, {
        reason: 'database_unreachable',
        cause: error,
      });
    }
  }

  #disconnect(): void {
    this.#reader?.close();
    this.#writer?.close();
    this.#journal?.close();
    this.#reader = undefined;
    this.#writer = undefined;
    this.#journal = undefined;
  }
}

class SqliteTransaction implements Transaction {
  readonly database: SqliteDatabase;
  readonly afterCommitCallbacks: (() => void)[] = [];
  readonly #connection: Connection;
  #sync: SyncSql | undefined;
  #state: 'open' | 'failed' | 'closed' = 'open';

  constructor(database: SqliteDatabase, connection: Connection) {
    this.database = database;
    this.#connection = connection;
  }

  get sqlite(): SyncSql {
    const connection = this.#connection;
    this.#sync ??= {
      all: <R extends object>(sql: string, ...params: SqlValue[]) => this.#guard(() => connection.all<R>(sql, ...params)),
      get: <R extends object>(sql: string, ...params: SqlValue[]) => this.#guard(() => connection.get<R>(sql, ...params)),
      rows: (sql, ...params) => this.#guard(() => connection.rows(sql, ...params)),
      run: (sql: string, ...params: SqlValue[]) => this.#guard(() => connection.run(sql, ...params)),
    };
    return this.#sync;
  }

  async all<R extends object = Row>(sql: string, ...params: SqlValue[]): Promise<R[]> {
    return this.#guard(() => this.#connection.all<R>(sql, ...params));
  }

  async get<R extends object = Row>(sql: string, ...params: SqlValue[]): Promise<R | undefined> {
    return this.#guard(() => this.#connection.get<R>(sql, ...params));
  }

  async run(sql: string, ...params: SqlValue[]): Promise<Changes> {
    return this.#guard(() => this.#connection.run(sql, ...params));
  }

  async script(sql: string): Promise<void> {
    this.#guard(() => this.#connection.exec(sql));
  }

  afterCommit(fn: () => void): void {
    this.afterCommitCallbacks.push(fn);
  }

  async notify(topic: string): Promise<void> {
    this.afterCommit(() => this.database.wake(topic));
  }

  assertUsable(): void {
    if (this.#state === 'open') return;
    throw aborted(this.#state === 'failed' ? 'A statement of the transaction failed before' : 'The transaction is over', {
      reason: 'transaction_lost',
    });
  }

  close(): void {
    this.#state = 'closed';
  }

  #guard<T>(statement: () => T): T {
    this.assertUsable();
    try {
      return statement();
    } catch (error) {
      this.#state = 'failed';
      throw error;
    }
  }
}

function inodeOf(file: string): number | undefined {
  try {
    return statSync(file, { throwIfNoEntry: false })?.ino;
  } catch (error) {
    throw unavailable(`Database ${file} cannot be reached`, { reason: 'database_unreachable', cause: error });
  }
}

function isBusyFault(error: unknown): boolean {
  return error instanceof Fault && error.reason === 'database_busy';
}

function closed(name: string): Fault {
  return unavailable(`Database ${name} is closed`, { reason: 'database_closed' });
}
