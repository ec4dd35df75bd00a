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
];
