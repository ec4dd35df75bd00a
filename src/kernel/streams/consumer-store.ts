import type { Row, Sql, SqlValue, Transaction } from '../database/database.ts';
import type { Migration } from '../database/migrations.ts';
import { exhausted } from '../fault.ts';
import type { StreamEvent } from './streams.ts';

export interface DeadLetter extends StreamEvent {
  readonly attempts: number;
  readonly error: string;
  readonly failedAtMs: number;
}

export interface Attempt {
  readonly attempts: number;
  readonly nextAtMs: number;
  readonly error: string;
}

export interface Parked {
  readonly event: StreamEvent;
  readonly attempts: number;
  readonly nextAtMs: number;
}

/** Parked events wait for another attempt; dead ones (`is_dead` = 1) wait for a person. */
export const consumerMigrations: readonly Migration[] = [
  {
    id: 1,
    name: 'cursors and parked events',
    sql: `create table cellar_cursors (consumer {text} primary key, position bigint not null, updated_at bigint not null);
          create table cellar_parked (
            consumer {text} not null, position bigint not null, time_ms bigint not null, key {text} not null, type {text} not null,
            headers {text} not null, payload {bytes} not null, is_dead bigint not null, attempts bigint not null, next_at bigint not null,
            failed_at bigint not null, error {text} not null, primary key (consumer, position)
          );
          create index cellar_parked_by_key on cellar_parked (consumer, is_dead, key, position)`,
  },
];

interface ParkedRow extends Row {
  readonly position: number;
  readonly timeMs: number;
  readonly key: string;
  readonly type: string;
  readonly headers: string;
  readonly payload: Uint8Array;
  readonly attempts: number;
  readonly nextAtMs: number;
  readonly failedAtMs: number;
  readonly error: string;
}

const columns = `position, time_ms as "timeMs", key, type, headers, payload, attempts, next_at as "nextAtMs", failed_at as "failedAtMs", error`;

/** The tables of one consumer. Every verb runs in the session it is given. */
export function createConsumerStore(consumer: string, now: () => number) {
  const position = async (sql: Sql): Promise<number | undefined> =>
    (await sql.get<{ position: number }>('select position from cellar_cursors where consumer = $1', consumer))?.position;

  return {
    position,

    /** Makes the cursor; returns where it is, which is another place when somebody else was first. */
    async create(sql: Sql, start: number): Promise<number> {
      await sql.run(
        'insert into cellar_cursors (consumer, position, updated_at) values ($1, $2, $3) on conflict (consumer) do nothing',
        consumer,
        start,
        now(),
      );
      return (await position(sql)) ?? start;
    },

    /** Moves the cursor from one position to another; false when it is not there any more. */
    async advance(tx: Transaction, from: number, to: number): Promise<boolean> {
      const { changes } = await tx.run(
        'update cellar_cursors set position = $1, updated_at = $2 where consumer = $3 and position = $4',
        to,
        now(),
        consumer,
        from,
      );
      return changes === 1;
    },

    /** Makes other instances of the consumer wait until the transaction ends. */
    async lock(tx: Transaction): Promise<void> {
      await tx.run('update cellar_cursors set updated_at = $1 where consumer = $2', now(), consumer);
    },

    async seek(tx: Transaction, to: number): Promise<void> {
      await tx.run(
        `insert into cellar_cursors (consumer, position, updated_at) values ($1, $2, $3)
         on conflict (consumer) do update set position = excluded.position, updated_at = excluded.updated_at`,
        consumer,
        to,
        now(),
      );
      await tx.run('delete from cellar_parked where consumer = $1 and position > $2', consumer, to);
    },

    async parkedKeys(tx: Transaction): Promise<ReadonlySet<string>> {
      const rows = await tx.all<{ key: string }>(
        'select distinct key from cellar_parked where consumer = $1 and is_dead = 0',
        consumer,
      );
      return new Set(rows.map(({ key }) => key));
    },

    /** Errors: `resource_exhausted` with reason `parked_full` when more than `parkedMax` would be waiting. */
    async park(
      tx: Transaction,
      events: readonly StreamEvent[],
      { attempts, nextAtMs, error }: Attempt,
      parkedMax: number,
    ): Promise<void> {
      const parked = await tx.get<{ count: number }>(
        'select count(*) as count from cellar_parked where consumer = $1 and is_dead = 0',
        consumer,
      );
      if ((parked?.count ?? 0) + events.length > parkedMax) {
        throw exhausted(`Consumer ${consumer} has ${parkedMax} failing events set aside and waits for them`, {
          reason: 'parked_full',
        });
      }
      for (const event of events) {
        await tx.run(
          `insert into cellar_parked (consumer, position, time_ms, key, type, headers, payload, is_dead, attempts, next_at, failed_at, error)
           values ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, $10, $11)`,
          consumer,
          event.position,
          event.timeMs,
          event.key,
          event.type,
          JSON.stringify(event.headers),
          event.payload,
          attempts,
          nextAtMs,
          now(),
          error,
        );
      }
    },

    /** The oldest parked event of each key, those due first. */
    async parkedHeads(sql: Sql, limit: number): Promise<readonly Parked[]> {
      const rows = await sql.all<ParkedRow>(
        `select ${columns} from cellar_parked as parked
         where consumer = $1 and is_dead = 0 and position = (
           select min(older.position) from cellar_parked as older where older.consumer = $1 and older.is_dead = 0 and older.key = parked.key
         )
         order by next_at, position limit $2`,
        consumer,
        limit,
      );
      return rows.map((row) => ({ event: toEvent(row), attempts: row.attempts, nextAtMs: row.nextAtMs }));
    },

    /** Removes a parked event to handle it in this transaction; false when another instance tried it meanwhile. */
    async take(tx: Transaction, at: number, attempts: number): Promise<boolean> {
      const { changes } = await tx.run(
        'delete from cellar_parked where consumer = $1 and position = $2 and is_dead = 0 and attempts = $3',
        consumer,
        at,
        attempts,
      );
      return changes === 1;
    },

    async fail(
      tx: Transaction,
      at: number,
      { attempts, nextAtMs, error, isDead }: Attempt & { readonly isDead: boolean },
    ): Promise<void> {
      await tx.run(
        `update cellar_parked set attempts = $1, next_at = $2, error = $3, is_dead = $4, failed_at = $5
         where consumer = $6 and position = $7 and is_dead = 0`,
        attempts,
        nextAtMs,
        error,
        isDead ? 1 : 0,
        now(),
        consumer,
        at,
      );
    },

    async deadLetters(sql: Sql, after: number, limit: number): Promise<readonly DeadLetter[]> {
      const rows = await sql.all<ParkedRow>(
        `select ${columns} from cellar_parked where consumer = $1 and is_dead = 1 and position > $2 order by position limit $3`,
        consumer,
        after,
        limit,
      );
      return rows.map((row) => ({ ...toEvent(row), attempts: row.attempts, error: row.error, failedAtMs: row.failedAtMs }));
    },

    /** Dead letters become parked events that are due now. */
    revive(tx: Transaction, positions: readonly number[] | undefined): Promise<number> {
      return forEach(
        tx,
        'update cellar_parked set is_dead = 0, attempts = 0, next_at = 0 where consumer = $1 and is_dead = 1',
        positions,
      );
    },

    discard(tx: Transaction, positions: readonly number[]): Promise<number> {
      return forEach(tx, 'delete from cellar_parked where consumer = $1 and is_dead = 1', positions);
    },

    async counts(sql: Sql): Promise<{ position: number | undefined; retrying: number; dead: number }> {
      const rows = await sql.all<{ isDead: number; count: number }>(
        'select is_dead as "isDead", count(*) as count from cellar_parked where consumer = $1 group by is_dead',
        consumer,
      );
      const countOf = (isDead: number): number => rows.find((row) => row.isDead === isDead)?.count ?? 0;
      return { position: await position(sql), retrying: countOf(0), dead: countOf(1) };
    },
  };

  async function forEach(tx: Transaction, sql: string, positions: readonly number[] | undefined): Promise<number> {
    if (positions === undefined) return (await tx.run(sql, consumer)).changes;
    let count = 0;
    for (const at of positions) count += (await tx.run(`${sql} and position = $2`, consumer, at satisfies SqlValue)).changes;
    return count;
  }
}

function toEvent({ position, timeMs, key, type, headers, payload }: ParkedRow): StreamEvent {
  return { position, timeMs, key, type, headers: JSON.parse(headers) as Record<string, string>, payload };
}
