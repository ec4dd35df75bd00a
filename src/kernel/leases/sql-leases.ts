import type { Database } from '../database/database.ts';
import { type Migration, migrate } from '../database/migrations.ts';
import type { LeaseState, LeaseStore } from './leases.ts';

export interface SqlLeaseStoreOptions {
  readonly database: Database;
  /** SQLite only, whose clock is the machine's; milliseconds since 1970. PostgreSQL measures time itself. */
  readonly now?: () => number;
}

/** Rows stay when a lease ends, so that epochs only grow. */
const migrations: readonly Migration[] = [
  {
    id: 1,
    name: 'leases',
    sql: 'create table cellar_leases (name {text} primary key, holder {text} not null, epoch bigint not null, expires_at bigint not null)',
  },
];

const postgresNow = '(extract(epoch from clock_timestamp()) * 1000)::bigint';

export async function openSqlLeaseStore({ database, now = Date.now }: SqlLeaseStoreOptions): Promise<LeaseStore> {
  await migrate(database, migrations, { area: 'leases' });
  /** The time as an expression in SQL, for a placeholder's number, and what to bind to it. */
  const time = (placeholder: string): string => (database.engine === 'postgres' ? postgresNow : placeholder);
  const bound = (): number[] => (database.engine === 'postgres' ? [] : [now()]);
  const topic = (name: string): string => `lease ${name}`;

  const sql = {
    take: `insert into cellar_leases as held (name, holder, epoch, expires_at) values ($1, $2, 1, ${time('$4')} + $3)
           on conflict (name) do update set holder = excluded.holder, epoch = held.epoch + 1, expires_at = excluded.expires_at
           where held.expires_at <= ${time('$4')} returning epoch`,
    renew: `update cellar_leases set expires_at = ${time('$4')} + $3 where name = $1 and epoch = $2 and expires_at > 0`,
    release: 'update cellar_leases set expires_at = 0 where name = $1 and epoch = $2',
    read: `select holder, epoch, expires_at - ${time('$2')} as "remainingMs" from cellar_leases where name = $1 and expires_at > ${time('$2')}`,
  };

  return {
    async take(name, holder, ttlMs) {
      const taken = await database.get<{ epoch: number }>(sql.take, name, holder, Math.ceil(ttlMs), ...bound());
      return taken?.epoch;
    },
    async renew(name, epoch, ttlMs) {
      const { changes } = await database.run(sql.renew, name, epoch, Math.ceil(ttlMs), ...bound());
      return changes === 1;
    },
    async release(name, epoch) {
      await database.transaction(
        async (tx) => {
          await tx.run(sql.release, name, epoch);
          await tx.notify(topic(name));
        },
        { group: true },
      );
    },
    read: (name) => database.get<LeaseState>(sql.read, name, ...bound()),
    listen: (name, wake) => database.listen(topic(name), wake),
  };
}
