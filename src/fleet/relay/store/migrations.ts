import type { Migration } from '#kernel/database/migrations.ts';

/** Tables of `cellar.grpc.fleet.relay`. An applied migration is never edited: add another. */
export const migrations: readonly Migration[] = [
  {
    id: 1,
    name: 'enrolments',
    sql: `create table enrolments (
            host {text} not null primary key, fingerprint {text} not null, enrol_ms bigint not null, expire_ms bigint not null
          )`,
  },
  {
    id: 2,
    name: 'renewals',
    sql: `create table renewals (
            fingerprint {text} not null primary key, host {text} not null, enrol_ms bigint not null, expire_ms bigint not null,
            is_taken integer not null
          );
          create index renewals_host on renewals (host)`,
  },
];
