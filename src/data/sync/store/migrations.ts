import type { Migration } from '#kernel/database/migrations.ts';

/** What outlasts a restart: whether a person has paused, in which folders other disks are mounted, and who may
 * tell of changes. */
export const migrations: readonly Migration[] = [
  {
    id: 1,
    name: 'pause and mounts',
    sql: `create table pause (only_row {integer_key}, since_ms bigint not null, reason {text} not null);
          create table mounts (path {text} primary key)`,
  },
  {
    id: 2,
    name: 'token of notifications',
    sql: 'create table notification_token (only_row {integer_key}, hash {text} not null)',
  },
];
