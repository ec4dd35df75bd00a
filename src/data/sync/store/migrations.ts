import type { Migration } from '#kernel/database/migrations.ts';

/** What outlasts a restart: whether a person has paused, and in which folders other disks are mounted. */
export const migrations: readonly Migration[] = [
  {
    id: 1,
    name: 'pause and mounts',
    sql: `create table pause (only_row {integer_key}, since_ms bigint not null, reason {text} not null);
          create table mounts (path {text} primary key)`,
  },
];
