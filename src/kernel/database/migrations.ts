import { createHash } from 'node:crypto';
import { failedPrecondition } from '../fault.ts';
import type { Database, Engine, Transaction } from './database.ts';
import { dialect } from './dialect.ts';

export interface Migration {
  /** 1, 2, 3 ... without gaps, in the order of the list. */
  readonly id: number;
  /** A few words: `files by parent`. */
  readonly name: string;
  /** Portable text with the words of `dialect`, or one text per engine; several statements are separated by semicolons. */
  readonly sql: string | Readonly<Record<Engine, string>>;
}

export interface MigrateOptions {
  /** Whose migrations these are, so that the kernel's own tables have a list apart from the service's; `service` when absent. */
  readonly area?: string;
}

interface Applied {
  readonly id: number;
  readonly name: string;
  readonly checksum: string;
}

/** Any number that is the same for all of Cellar: the advisory lock that migrating takes on PostgreSQL. */
const lockKey = 7_235_419;

const table = `create table if not exists cellar_migrations (
  area {text} not null, id bigint not null, name {text} not null, checksum {text} not null, applied_at bigint not null,
  primary key (area, id)
)`;

/**
 * Brings the tables to the newest version: applies what is missing, each migration in a transaction with its record.
 * Running it again changes nothing; two starters at once wait for each other.
 *
 * Result: how many were applied.
 * Errors: `failed_precondition` with reason `database_newer` when the database has seen migrations that this version does
 * not know, or `migration_changed` when one was edited after it was applied.
 */
export async function migrate(
  database: Database,
  migrations: readonly Migration[],
  options: MigrateOptions = {},
): Promise<number> {
  const { area = 'service' } = options;
  assertNumbered(migrations);
  let count = 0;
  for (;;) {
    const isApplied = await database.transaction((tx) => applyNext(tx, area, migrations));
    if (!isApplied) return count;
    count += 1;
  }
}

async function applyNext(tx: Transaction, area: string, migrations: readonly Migration[]): Promise<boolean> {
  const { engine } = tx.database;
  // SQLite's transactions are exclusive already.
  if (engine === 'postgres') await tx.run('select pg_advisory_xact_lock($1::bigint)', lockKey);
  await tx.script(dialect(table, engine));
  const applied = await tx.all<Applied>('select id, name, checksum from cellar_migrations where area = $1 order by id', area);
  for (const record of applied) assertKnown(record, tx.database, migrations);
  const next = migrations[applied.length];
  if (!next) return false;
  await tx.script(textFor(next, engine));
  await tx.run(
    'insert into cellar_migrations (area, id, name, checksum, applied_at) values ($1, $2, $3, $4, $5)',
    area,
    next.id,
    next.name,
    checksumOf(next),
    Date.now(),
  );
  return true;
}

function assertNumbered(migrations: readonly Migration[]): void {
  for (const [index, { id, name }] of migrations.entries()) {
    if (id !== index + 1)
      throw new TypeError(`Migration ${JSON.stringify(name)} has id ${id}; its place in the list asks for ${index + 1}`);
  }
}

function assertKnown(record: Applied, database: Database, migrations: readonly Migration[]): void {
  const known = migrations[record.id - 1];
  if (!known) {
    throw failedPrecondition(
      `Database ${database.name} is newer than this program: it has migration ${record.id} (${record.name}), the newest known here is ${migrations.length}`,
      {
        reason: 'database_newer',
        hint: 'Install the newer version again, or restore the backup that was made before the upgrade.',
      },
    );
  }
  if (record.checksum !== checksumOf(known)) {
    throw failedPrecondition(
      `Migration ${record.id} (${known.name}) of database ${database.name} was changed after it had been applied`,
      {
        reason: 'migration_changed',
        hint: 'Undo the change and put it in a new migration.',
      },
    );
  }
}

function textFor({ sql }: Migration, engine: Engine): string {
  return dialect(typeof sql === 'string' ? sql : sql[engine], engine);
}

/** Over the text as written, whitespace aside, so that formatting is no change. */
function checksumOf({ sql }: Migration): string {
  const text = typeof sql === 'string' ? sql : `${sql.sqlite}\n--\n${sql.postgres}`;
  return createHash('sha256').update(text.replace(/\s+/g, ' ').trim()).digest('hex').slice(0, 32);
}
