import { counterTable } from '#kernel/database/counter.ts';
import type { Migration } from '#kernel/database/migrations.ts';

/** Tables of `cellar.grpc.policies`. An applied migration is never edited: add another. */
export const migrations: readonly Migration[] = [
  {
    id: 1,
    name: 'policies',
    sql: `
      create table policies (
        id {text} primary key,
        description {text} not null,
        text {text} not null,
        version bigint not null, -- the store's version when the policy was last written
        update_time bigint not null -- milliseconds since 1970
      );
      ${counterTable}`,
  },
];
