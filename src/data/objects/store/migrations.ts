import type { Migration } from '#kernel/database/migrations.ts';

export const migrations: readonly Migration[] = [
  {
    id: 1,
    name: 'objects',
    sql: `create table objects (
      bucket {text} not null, key {text} not null, stamp {text} not null,
      kind {text} not null, etag {text} not null, details {text} not null,
      primary key (bucket, key, stamp)
    )`,
  },
  {
    id: 2,
    name: 'buckets and versions',
    sql: `create index objects_hard on objects (bucket, key) where kind = 'hard';
    create table versions (
      bucket {text} not null, key {text} not null, version_id {text} not null, ordering bigint not null,
      is_marker bigint not null, size_bytes bigint not null, mtime_ms bigint not null, etag {text} not null, details {text} not null,
      primary key (bucket, key, version_id)
    );
    create index versions_ordered on versions (bucket, key, ordering);
    create table buckets (bucket {text} primary key, created_ms bigint not null, settings {text} not null);
    create table intents (
      bucket {text} not null, key {text} not null, stamp {text} not null, rest {text} not null, primary key (bucket, key)
    )`,
  },
];
