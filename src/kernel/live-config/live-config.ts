import { type Database, join, type Row, type Session } from '../database/database.ts';
import { type Migration, migrate } from '../database/migrations.ts';
import { aborted, invalidArgument } from '../fault.ts';
import { openStream } from '../streams/sql-stream.ts';
import type { Stream, StreamEvent, StreamSource } from '../streams/streams.ts';

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** The value of a key since one change. */
export interface ConfigEntry {
  readonly key: string;
  readonly value: Json;
  /** The number of the change that set it: 1, 2, 3 ... over all keys; the change's position in the stream `config`. */
  readonly version: number;
  readonly author: string;
  readonly timeMs: number;
}

/** One change; `value` is absent when the key was unset. */
export interface ConfigChange extends Omit<ConfigEntry, 'value'> {
  readonly value?: Json;
}

export interface ChangeOptions {
  /** Who changes it: a user's name, or a service. */
  readonly author: string;
  /** Change only when the key's version is still this; 0 when it must not be set yet. */
  readonly expectedVersion?: number;
}

/**
 * Settings that change while the system runs. Stores and tells; whether a key exists and its value is allowed is decided above.
 *
 * Errors: those of `Sql`; `aborted` with reason `version_conflict` when `expectedVersion` is not the current one;
 * `invalid_argument` for a key longer than 200 characters or a value of more than 64 KiB as JSON.
 */
export interface LiveConfig {
  get(key: string): Promise<ConfigEntry | undefined>;
  /** All keys that are set, by key; `prefix` narrows them. */
  list(prefix?: string): Promise<readonly ConfigEntry[]>;
  /** Result: the change's version. Setting the value that is already there is a change too. */
  set(key: string, value: Json, options: ChangeOptions, session?: Session): Promise<number>;
  /** Result: the change's version, or undefined when the key was not set. */
  unset(key: string, options: ChangeOptions, session?: Session): Promise<number | undefined>;
  /** The changes of a key, newest first; 100 when `limit` is absent, 1 000 at most. */
  history(key: string, options?: { readonly before?: number; readonly limit?: number }): Promise<readonly ConfigChange[]>;
  /** The newest version; 0 when nothing was ever set. Read it before `list` and pass it to `watch` to miss nothing. */
  version(): Promise<number>;
  /** Changes after a version (from now on when absent), as they are committed; ends when the signal fires. */
  watch(options: { readonly after?: number; readonly signal: AbortSignal }): AsyncIterable<readonly ConfigChange[]>;
  /** The changes as a stream, for consumers in other programs; `decodeConfigChange` reads its events. */
  readonly source: StreamSource;
}

const keyLengthMax = 200;
const valueBytesMax = 64 * 1024;

const migrations: readonly Migration[] = [
  {
    id: 1,
    name: 'config',
    sql: `create table cellar_config (key {text} primary key, value {text} not null, version bigint not null, author {text} not null, time_ms bigint not null);
          create table cellar_config_changes (version bigint primary key, key {text} not null, value {text}, author {text} not null, time_ms bigint not null);
          create index cellar_config_changes_by_key on cellar_config_changes (key, version)`,
  },
];

interface ConfigRow extends Row {
  readonly key: string;
  readonly value: string | null;
  readonly version: number;
  readonly author: string;
  readonly timeMs: number;
}

const columns = 'key, value, version, author, time_ms as "timeMs"';

export async function openLiveConfig(options: { readonly database: Database; readonly now?: () => number }): Promise<LiveConfig> {
  const { database, now = Date.now } = options;
  await migrate(database, migrations, { area: 'config' });
  return new SqlLiveConfig(database, await openStream({ database, name: 'config', now }), now);
}

class SqlLiveConfig implements LiveConfig {
  readonly #database: Database;
  readonly #stream: Stream;
  readonly #now: () => number;

  constructor(database: Database, stream: Stream, now: () => number) {
    this.#database = database;
    this.#stream = stream;
    this.#now = now;
  }

  get source(): StreamSource {
    return this.#stream;
  }

  async get(key: string): Promise<ConfigEntry | undefined> {
    const row = await this.#database.get<ConfigRow>(`select ${columns} from cellar_config where key = $1`, key);
    return row && toEntry(row);
  }

  async list(prefix = ''): Promise<readonly ConfigEntry[]> {
    const rows = await this.#database.all<ConfigRow>(
      `select ${columns} from cellar_config where substr(key, 1, $1) = $2 order by key`,
      [...prefix].length,
      prefix,
    );
    return rows.map(toEntry);
  }

  async set(key: string, value: Json, options: ChangeOptions, session: Session = this.#database): Promise<number> {
    const text = JSON.stringify(value);
    if (key === '' || key.length > keyLengthMax)
      throw invalidArgument(`Cannot set ${JSON.stringify(key.slice(0, 50))}: keys have 1 to ${keyLengthMax} characters`);
    if (Buffer.byteLength(text) > valueBytesMax)
      throw invalidArgument(`Cannot set ${key}: its value is larger than ${valueBytesMax} bytes`);
    return join(session, async (tx) => {
      const change: Omit<ConfigChange, 'version'> = { key, value, author: options.author, timeMs: this.#now() };
      // The stream's counter comes first: it is the lock that makes the check and the change one step on PostgreSQL.
      const version = await this.#stream.append(tx, [encode(change)]);
      assertExpected(await this.#versionOf(tx, key), key, options);
      await tx.run(
        `insert into cellar_config (key, value, version, author, time_ms) values ($1, $2, $3, $4, $5)
         on conflict (key) do update set value = excluded.value, version = excluded.version, author = excluded.author, time_ms = excluded.time_ms`,
        key,
        text,
        version,
        change.author,
        change.timeMs,
      );
      await this.#record(tx, version, change, text);
      return version;
    });
  }

  async unset(key: string, options: ChangeOptions, session: Session = this.#database): Promise<number | undefined> {
    return join(session, async (tx) => {
      // The same lock as in `set`, taken without using up a version: there may be nothing to unset.
      await tx.run('update cellar_streams set head = head where name = $1', this.#stream.name);
      const current = await this.#versionOf(tx, key);
      assertExpected(current, key, options);
      if (current === 0) return undefined;
      const change: Omit<ConfigChange, 'version'> = { key, author: options.author, timeMs: this.#now() };
      const version = await this.#stream.append(tx, [encode(change)]);
      await tx.run('delete from cellar_config where key = $1', key);
      await this.#record(tx, version, change, null);
      return version;
    });
  }

  async history(
    key: string,
    options: { readonly before?: number; readonly limit?: number } = {},
  ): Promise<readonly ConfigChange[]> {
    const rows = await this.#database.all<ConfigRow>(
      `select ${columns} from cellar_config_changes where key = $1 and version < $2 order by version desc limit $3`,
      key,
      options.before ?? Number.MAX_SAFE_INTEGER,
      Math.min(options.limit ?? 100, 1000),
    );
    return rows.map(({ value, ...row }) => (value === null ? row : { ...row, value: JSON.parse(value) as Json }));
  }

  version(): Promise<number> {
    return this.#stream.head(new AbortController().signal);
  }

  async *watch({
    after,
    signal,
  }: {
    readonly after?: number;
    readonly signal: AbortSignal;
  }): AsyncGenerator<readonly ConfigChange[]> {
    const start = after ?? (await this.#stream.head(signal));
    for await (const events of this.#stream.subscribe({ after: start, signal })) yield events.map(decodeConfigChange);
  }

  async #versionOf(session: Session, key: string): Promise<number> {
    const row = await session.get<{ version: number }>('select version from cellar_config where key = $1', key);
    return row?.version ?? 0;
  }

  async #record(
    session: Session,
    version: number,
    { key, author, timeMs }: Omit<ConfigChange, 'version'>,
    text: string | null,
  ): Promise<void> {
    await session.run(
      'insert into cellar_config_changes (version, key, value, author, time_ms) values ($1, $2, $3, $4, $5)',
      version,
      key,
      text,
      author,
      timeMs,
    );
  }
}

/** Reads an event of `LiveConfig.source`. */
export function decodeConfigChange(event: StreamEvent): ConfigChange {
  const change = JSON.parse(new TextDecoder().decode(event.payload)) as Omit<ConfigChange, 'version'>;
  return { ...change, version: event.position };
}

function encode(change: Omit<ConfigChange, 'version'>): { key: string; type: string; payload: Uint8Array } {
  return {
    key: change.key,
    type: change.value === undefined ? 'config.unset' : 'config.set',
    payload: new TextEncoder().encode(JSON.stringify(change)),
  };
}

function toEntry({ value, ...row }: ConfigRow): ConfigEntry {
  return { ...row, value: JSON.parse(value ?? 'null') as Json };
}

function assertExpected(current: number, key: string, { expectedVersion }: ChangeOptions): void {
  if (expectedVersion === undefined || expectedVersion === current) return;
  throw aborted(`Cannot change ${key}: it is at version ${current}, not ${expectedVersion}`, {
    reason: 'version_conflict',
    hint: 'Read it again and decide anew.',
  });
}
