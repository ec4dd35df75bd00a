import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isSystemError } from '#lib/system-error.ts';
import { invalidArgument } from '../fault.ts';
import type { Log } from '../log.ts';
import type { Database } from './database.ts';
import { createPostgresDatabase } from './postgres.ts';
import { createSqliteDatabase } from './sqlite.ts';

export interface OpenOptions {
  /**
   * `sqlite:/path/file.db`, `sqlite:/path/folder/` (the file in it is named after the service), `sqlite::memory:` (temporary),
   * or `postgres://user:password@host/database` (the schema in it is named after the service).
   */
  readonly url: string;
  /** The service's name, such as `data.index`. */
  readonly name: string;
  readonly log: Log;
  /** SQLite: every commit reaches the disk before it is acknowledged. Default false. */
  readonly durable?: boolean;
  /** SQLite: how long to wait for another program's lock; 5 000 when absent. */
  readonly busyTimeoutMs?: number;
  /** How many transactions may wait for their turn; 10 000 when absent. */
  readonly queueMax?: number;
  /** PostgreSQL: connections kept at most; 10 when absent. */
  readonly connectionsMax?: number;
  /** PostgreSQL: how long to wait for a connection; 5 000 when absent. */
  readonly connectTimeoutMs?: number;
}

/**
 * The database of one service. Nothing is connected yet: the first statement does that, and a database that is away is
 * `unavailable` until it comes back, with no restart.
 * Errors: `invalid_argument` for a URL of neither engine.
 */
export function openDatabase({ url, ...options }: OpenOptions): Database {
  if (url.startsWith('sqlite:')) return createSqliteDatabase({ ...options, file: sqliteFile(url, options.name) });
  if (/^postgres(?:ql)?:/.test(url)) return createPostgresDatabase({ ...options, url, schema: schemaName(options.name) });
  throw invalidArgument(`Cannot open database ${options.name}: the URL starts with neither "sqlite:" nor "postgres:"`, {
    hint: 'Examples: sqlite:/var/lib/cellar/ and postgres://user:password@host/database',
  });
}

/**
 * Puts the file of a database aside, which nobody has open, so that the next one to open it begins with an empty one. An older file that was
 * put aside is replaced. Result: where it is now; undefined: there is no such file, or the engine keeps none.
 */
export async function setDatabaseAside({ url, name }: Pick<OpenOptions, 'url' | 'name'>): Promise<string | undefined> {
  const file = url.startsWith('sqlite:') ? sqliteFile(url, name) : ':memory:';
  if (file === ':memory:') return undefined;
  const aside = `${file}.damaged`;
  let isThere = false;
  // The journal goes first: without its file it means nothing, and beside a new one it would be taken for that one's.
  for (const ending of ['-wal', '-shm', ''])
    try {
      await rename(file + ending, aside + ending);
      isThere = true;
    } catch (error) {
      if (!isSystemError(error, 'ENOENT')) throw error;
    }
  return isThere ? aside : undefined;
}

function sqliteFile(url: string, name: string): string {
  const path = url.startsWith('sqlite:///') ? fileURLToPath(`file:${url.slice('sqlite:'.length)}`) : url.slice('sqlite:'.length);
  if (path === '') throw invalidArgument(`Cannot open database ${name}: the URL has no path`);
  return path.endsWith('/') ? join(path, `${name}.db`) : path;
}

/** `data.index` as an SQL identifier: `data_index`. */
export function schemaName(name: string): string {
  const plain = name.toLowerCase().replace(/[^a-z0-9_]/g, '_');
  return (/^[a-z_]/.test(plain) ? plain : `_${plain}`).slice(0, 63);
}
