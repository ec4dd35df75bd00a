import { counterTable } from '#kernel/database/counter.ts';
import type { Migration } from '#kernel/database/migrations.ts';

/** Tables of `cellar.grpc.users`. Times are milliseconds since 1970. */
export const migrations: readonly Migration[] = [
  {
    id: 1,
    name: 'users and credentials',
    sql: `
      create table users (
        id {text} primary key,
        name {text} not null unique,
        display_name {text} not null,
        is_admin bigint not null,
        is_disabled bigint not null,
        password {text} not null, -- argon2id as a PHC string; empty: none is set
        create_time bigint not null
      );
      create table credentials (
        id {text} primary key,
        hash {text} not null unique, -- sha256 of the token, hex
        user_id {text} not null references users (id) on delete cascade,
        kind {text} not null check (kind in ('session', 'token')),
        name {text} not null,
        scopes {text} not null, -- separated by blanks
        create_time bigint not null,
        expire_time bigint, -- null: does not expire
        last_use_time bigint not null
      );
      create index credentials_by_user on credentials (user_id, kind, create_time);
      create index credentials_by_expiry on credentials (kind, expire_time);
      create table keys (
        access_key {text} primary key,
        user_id {text} not null references users (id) on delete cascade,
        name {text} not null,
        scopes {text} not null,
        secret {bytes} not null, -- sealed with the master key
        create_time bigint not null
      );
      create index keys_by_user on keys (user_id, create_time);
      ${counterTable}`,
  },
];
