import type { SqlValue, Transaction } from '#kernel/database/database.ts';
import { encodeKey } from './key-text.ts';
import type { ObjectRow, StoreChange, VersionRow } from './store.ts';

/** The first text after all that start with a prefix ending in `/`: `0` is the character after `/`. */
const endOf = (prefix: string): string => `${prefix.slice(0, -1)}0`;

const markSql = (keys: string): string =>
  `insert into versions (bucket, key, version_id, ordering, is_marker, size_bytes, mtime_ms, etag, details)
   select bucket, key, cast($2 as text), max(ordering) + 1, 1, 0, cast($3 as bigint), '', '{"headers":{},"checksums":{}}' from versions
   where bucket = $1 and ${keys} group by bucket, key
   having max(case when is_marker = 1 then ordering else 0 end) < max(ordering)
   on conflict (bucket, key, version_id) do update set ordering = excluded.ordering`;

const isContent = "kind in ('object', 'hard')";

/** Makes one change of a bucket's rows in an open transaction. */
export async function applyChange(tx: Transaction, bucket: string, change: StoreChange): Promise<void> {
  const run = async (sql: string, ...params: SqlValue[]): Promise<void> => void (await tx.run(sql, bucket, ...params));
  switch (change.kind) {
    case 'put': {
      const { key, stamp, kind, etag } = change.row;
      return await run(
        `insert into objects (bucket, key, stamp, kind, etag, details) values ($1, $2, $3, $4, $5, $6)
         on conflict (bucket, key, stamp) do update set kind = excluded.kind, etag = excluded.etag, details = excluded.details`,
        ...[encodeKey(key), stamp, kind, etag, objectDetails(change.row)],
      );
    }
    case 'prune':
      return await run(
        `delete from objects where bucket = $1 and key = $2 and stamp <> $3 and ${isContent}`,
        encodeKey(change.key),
        change.stamp,
      );
    case 'remove':
      return await run(`delete from objects where bucket = $1 and key = $2 and ${isContent}`, encodeKey(change.key));
    case 'remove_state':
      return await run('delete from objects where bucket = $1 and key = $2 and stamp = $3', encodeKey(change.key), change.stamp);
    case 'remove_tree':
      return await run(
        "delete from objects where bucket = $1 and key >= $2 and key < $3 and kind <> 'hard'",
        ...[encodeKey(change.prefix), endOf(encodeKey(change.prefix))],
      );
    case 'copy_tree': {
      const [from, to] = [encodeKey(change.from), encodeKey(change.to)];
      await run("delete from objects where bucket = $1 and key >= $2 and key < $3 and kind <> 'hard'", to, endOf(to));
      return await run(
        `insert into objects (bucket, key, stamp, kind, etag, details)
         select bucket, $4 || substr(key, length($2) + 1), stamp, kind, etag, details from objects
         where bucket = $1 and key >= $2 and key < $3 and kind <> 'hard'`,
        ...[from, endOf(from), to],
      );
    }
    case 'put_version': {
      const { key, versionId, isDeleteMarker, sizeBytes, mtimeMs, etag } = change.row;
      return await run(
        `insert into versions (bucket, key, version_id, ordering, is_marker, size_bytes, mtime_ms, etag, details)
         values ($1, $2, $3, coalesce((select max(ordering) from versions where bucket = $1 and key = $2), 0) + 1, $4, $5, $6, $7, $8)
         on conflict (bucket, key, version_id) do update set ordering = excluded.ordering,
           is_marker = excluded.is_marker, size_bytes = excluded.size_bytes, mtime_ms = excluded.mtime_ms, etag = excluded.etag,
           details = excluded.details`,
        ...[encodeKey(key), versionId, isDeleteMarker ? 1 : 0, sizeBytes, mtimeMs, etag, versionDetails(change.row)],
      );
    }
    case 'update_version': {
      const { key, versionId, etag } = change.row;
      return await run(
        'update versions set etag = $4, details = $5 where bucket = $1 and key = $2 and version_id = $3',
        ...[encodeKey(key), versionId, etag, versionDetails(change.row)],
      );
    }
    case 'remove_version':
      return await run(
        'delete from versions where bucket = $1 and key = $2 and version_id = $3',
        ...[encodeKey(change.key), change.versionId],
      );
    case 'mark':
      return await run(markSql('key = $4'), change.versionId, change.mtimeMs, encodeKey(change.key));
    case 'mark_tree': {
      const prefix = encodeKey(change.prefix);
      return await run(markSql('key >= $4 and key < $5'), change.versionId, change.mtimeMs, prefix, endOf(prefix));
    }
    case 'clear':
      await run('delete from objects where bucket = $1');
      return await run('delete from versions where bucket = $1');
    case 'begin': {
      const { key, stamp, rest } = change.intent;
      return await run(
        `insert into intents (bucket, key, stamp, rest) values ($1, $2, $3, $4)
         on conflict (bucket, key) do update set stamp = excluded.stamp, rest = excluded.rest`,
        ...[encodeKey(key), stamp, JSON.stringify(rest)],
      );
    }
    case 'end':
      return await run('delete from intents where bucket = $1 and key = $2', encodeKey(change.key));
  }
}

/** All that has no column of its own. */
function objectDetails({ key, stamp, kind, etag, ...details }: ObjectRow): string {
  return JSON.stringify(details);
}

function versionDetails(row: Omit<VersionRow, 'order'> & { readonly order?: number }): string {
  const { key, versionId, order, isDeleteMarker, sizeBytes, mtimeMs, etag, ...details } = row;
  return JSON.stringify(details);
}
