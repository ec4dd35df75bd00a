import type { Database, SqlValue, Transaction } from '#kernel/database/database.ts';
import type { BucketSettings } from '#s3/bucket-settings.ts';
import { decodeKey, encodeKey } from './key-text.ts';
import { applyChange } from './sql-changes.ts';
import type { ObjectRow, ObjectStore, StoreChange, VersionRow } from './store.ts';

interface ObjectRecord {
  readonly key: string;
  readonly stamp: string;
  readonly kind: ObjectRow['kind'];
  readonly etag: string;
  /** JSON of all other fields. */
  readonly details: string;
}

/** The same as an array, in the order of `objectColumns`. */
type ObjectValues = [key: string, stamp: string, kind: ObjectRow['kind'], etag: string, details: string];

interface VersionRecord {
  readonly key: string;
  readonly versionId: string;
  readonly order: number;
  readonly isMarker: number;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  readonly etag: string;
  readonly details: string;
}

/** Lists of keys are filled up to one of these lengths, so that few different statements are prepared. */
const keysPerStatement = [8, 64, 500];

const objectColumns = 'select key, stamp, kind, etag, details from objects';
const versionColumns = `select key, version_id as "versionId", ordering as "order", is_marker as "isMarker",
  size_bytes as "sizeBytes", mtime_ms as "mtimeMs", etag, details from versions`;

/** No key is after it that starts with the prefix it was made from, but for keys that go on with the very last character there is. */
const endOf = (prefix: string): string => `${prefix}\u{10ffff}`;

/** The store on a database with the tables of `migrations`. */
export function createSqlObjectStore(database: Database): ObjectStore {
  const transact = (body: (tx: Transaction) => Promise<void>): Promise<void> => database.transaction(body, { group: true });
  const objects = async (where: string, ...params: SqlValue[]): Promise<ObjectRow[]> => {
    const sql = `${objectColumns} ${where}`;
    // Listings read thousands of rows a page, and rows as arrays come in half the time.
    if (database.sqlite) return database.sqlite.rows(sql, ...params).map((values) => objectOf(...(values as ObjectValues)));
    return (await database.all<ObjectRecord>(sql, ...params)).map(objectOfRecord);
  };
  const versions = async (where: string, ...params: SqlValue[]): Promise<VersionRow[]> =>
    (await database.all<VersionRecord>(`${versionColumns} ${where}`, ...params)).map(versionOf);
  return {
    async find(bucket, key, stamp) {
      const sql = `${objectColumns} where bucket = $1 and key = $2 and stamp = $3`;
      const found = await database.get<ObjectRecord>(sql, bucket, encodeKey(key), stamp);
      return found && objectOfRecord(found);
    },
    async findMany(bucket, keys) {
      const found: ObjectRow[] = [];
      for (let at = 0; at < keys.length; ) {
        const count = keysPerStatement.find((size) => size >= keys.length - at) ?? keysPerStatement.at(-1)!;
        const part = Array.from({ length: count }, (_, index) => encodeKey(keys[Math.min(at + index, keys.length - 1)]!));
        const placeholders = part.map((_, index) => `$${index + 2}`).join(', ');
        found.push(...(await objects(`where bucket = $1 and key in (${placeholders})`, bucket, ...part)));
        at += count;
      }
      return found;
    },
    range: (bucket, first, last, limit) =>
      objects(
        'where bucket = $1 and key >= $2 and key <= $3 order by key limit $4',
        ...[bucket, encodeKey(first), encodeKey(last), limit],
      ),
    hardKeys: (bucket, prefix, after, limit) =>
      objects(
        "where bucket = $1 and kind = 'hard' and key > $2 and key >= $3 and key < $4 order by key limit $5",
        ...[bucket, encodeKey(after), encodeKey(prefix), endOf(encodeKey(prefix)), limit],
      ),
    after: (bucket, key, stamp, limit) =>
      objects(
        'where bucket = $1 and (key, stamp) > ($2, $3) order by key, stamp limit $4',
        ...[bucket, encodeKey(key), stamp, limit],
      ),
    hasRows: async (bucket) =>
      (await database.get('select 1 as one from objects where bucket = $1 limit 1', bucket)) !== undefined,
    hasVersions: async (bucket) =>
      (await database.get('select 1 as one from versions where bucket = $1 limit 1', bucket)) !== undefined,

    versionsOf: (bucket, key) => versions('where bucket = $1 and key = $2 order by ordering desc', bucket, encodeKey(key)),
    findVersion: async (bucket, key, versionId) =>
      (await versions('where bucket = $1 and key = $2 and version_id = $3', bucket, encodeKey(key), versionId))[0],
    async versions(bucket, prefix, after, limit) {
      const end = endOf(encodeKey(prefix));
      const key = encodeKey(after.key);
      const rest =
        after.order === undefined
          ? []
          : await versions(
              'where bucket = $1 and key = $2 and key >= $3 and ordering < $4 order by ordering desc limit $5',
              ...[bucket, key, encodeKey(prefix), after.order, limit],
            );
      const later = await versions(
        'where bucket = $1 and key > $2 and key >= $3 and key < $4 order by key, ordering desc limit $5',
        ...[bucket, key, encodeKey(prefix), end, limit - rest.length],
      );
      return [...rest, ...later];
    },

    write: (bucket, changes) =>
      changes.length === 0
        ? Promise.resolve()
        : transact(async (tx) => {
            for (const change of changes) await applyChange(tx, bucket, change);
          }),

    buckets: async () =>
      (
        await database.all<{ bucket: string; createdMs: number; settings: string }>(
          'select bucket, created_ms as "createdMs", settings from buckets order by bucket',
        )
      ).map(({ bucket, createdMs, settings }) => ({ bucket, createdMs, settings: JSON.parse(settings) as BucketSettings })),
    putBucket: ({ bucket, createdMs, settings }) =>
      transact(async (tx) => {
        await tx.run(
          `insert into buckets (bucket, created_ms, settings) values ($1, $2, $3)
           on conflict (bucket) do update set created_ms = excluded.created_ms, settings = excluded.settings`,
          ...[bucket, createdMs, JSON.stringify(settings)],
        );
      }),
    removeBucket: (bucket) =>
      transact(async (tx) => {
        for (const table of ['objects', 'versions', 'buckets', 'intents']) {
          await tx.run(`delete from ${table} where bucket = $1`, bucket);
        }
      }),
    intents: async () =>
      (
        await database.all<{ bucket: string; key: string; stamp: string; changes: string }>(
          'select bucket, key, stamp, rest as changes from intents order by bucket, key',
        )
      ).map(({ bucket, key, stamp, changes }) => ({
        ...{ bucket, key: decodeKey(key), stamp },
        rest: JSON.parse(changes) as StoreChange[],
      })),
  };
}

/** Adds to what was parsed: there are a thousand on a page. */
function objectOf(...[key, stamp, kind, etag, details]: ObjectValues): ObjectRow {
  const row = JSON.parse(details) as { -readonly [K in keyof ObjectRow]: ObjectRow[K] };
  row.key = decodeKey(key);
  row.stamp = stamp;
  row.kind = kind;
  row.etag = etag;
  return row;
}

const objectOfRecord = ({ key, stamp, kind, etag, details }: ObjectRecord): ObjectRow =>
  objectOf(key, stamp, kind, etag, details);

function versionOf({ key, details, isMarker, ...record }: VersionRecord): VersionRow {
  return {
    ...(JSON.parse(details) as Pick<VersionRow, 'headers' | 'checksums'>),
    ...record,
    key: decodeKey(key),
    isDeleteMarker: isMarker === 1,
  };
}
