import type { Database } from '#kernel/database/database.ts';
import type { ObjectRow, ObjectStore } from './store.ts';

interface Record {
  readonly key: string;
  readonly stamp: string;
  readonly kind: ObjectRow['kind'];
  readonly etag: string;
  /** JSON of `headers` and `checksums`. */
  readonly details: string;
}

/** Lists of keys are filled up to one of these lengths, so that few different statements are prepared. */
const keysPerStatement = [8, 64, 500];

/** The store on a database with the tables of `migrations`. */
export function createSqlObjectStore(database: Database): ObjectStore {
  const write = (...statements: readonly [sql: string, ...params: string[]][]): Promise<void> =>
    database.transaction(
      async (tx) => {
        for (const [sql, ...params] of statements) await tx.run(sql, ...params);
      },
      { group: true },
    );
  return {
    async find(bucket, key, stamp) {
      const sql = 'select key, stamp, kind, etag, details from objects where bucket = $1 and key = $2 and stamp = $3';
      const found = await database.get<Record>(sql, bucket, key, stamp);
      return found && rowOf(found);
    },
    async findMany(bucket, keys) {
      const found: ObjectRow[] = [];
      for (let at = 0; at < keys.length; ) {
        const count = keysPerStatement.find((size) => size >= keys.length - at) ?? keysPerStatement.at(-1)!;
        const part = Array.from({ length: count }, (_, index) => keys[Math.min(at + index, keys.length - 1)]!);
        const placeholders = part.map((_, index) => `$${index + 2}`).join(', ');
        const sql = `select key, stamp, kind, etag, details from objects where bucket = $1 and key in (${placeholders})`;
        for (const record of await database.all<Record>(sql, bucket, ...part)) found.push(rowOf(record));
        at += count;
      }
      return found;
    },
    hasRows: async (bucket) =>
      (await database.get('select 1 as one from objects where bucket = $1 limit 1', bucket)) !== undefined,
    put: (bucket, { key, stamp, kind, etag, headers, checksums }) =>
      write([
        `insert into objects (bucket, key, stamp, kind, etag, details) values ($1, $2, $3, $4, $5, $6)
         on conflict (bucket, key, stamp) do update set kind = excluded.kind, etag = excluded.etag, details = excluded.details`,
        ...[bucket, key, stamp, kind, etag, JSON.stringify({ headers, checksums })],
      ]),
    prune: (bucket, key, stamp) =>
      write(['delete from objects where bucket = $1 and key = $2 and stamp <> $3', bucket, key, stamp]),
    remove: (bucket, key) => write(['delete from objects where bucket = $1 and key = $2', bucket, key]),
    removeTree: (bucket, prefix) =>
      write(['delete from objects where bucket = $1 and key >= $2 and key < $3', bucket, prefix, endOf(prefix)]),
    move: (bucket, from, to) =>
      write(
        ['delete from objects where bucket = $1 and key = $2', bucket, to],
        ['update objects set key = $3 where bucket = $1 and key = $2', bucket, from, to],
      ),
    moveTree: (bucket, from, to) =>
      write(
        ['delete from objects where bucket = $1 and key >= $2 and key < $3', bucket, to, endOf(to)],
        [
          'update objects set key = $4 || substr(key, length($2) + 1) where bucket = $1 and key >= $2 and key < $3',
          ...[bucket, from, endOf(from), to],
        ],
      ),
  };
}

/** The first text after all that start with a prefix ending in `/`: `0` is the character after `/`. */
const endOf = (prefix: string): string => `${prefix.slice(0, -1)}0`;

function rowOf({ key, stamp, kind, etag, details }: Record): ObjectRow {
  const { headers, checksums } = JSON.parse(details) as Pick<ObjectRow, 'headers' | 'checksums'>;
  return { key, stamp, kind, etag, headers, checksums };
}
