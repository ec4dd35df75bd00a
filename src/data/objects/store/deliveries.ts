import type { Database, Transaction } from '#kernel/database/database.ts';
import { type Migration, migrate } from '#kernel/database/migrations.ts';

/** Something to tell somebody, until they have heard it. */
export interface Delivery {
  /** Of the change in the stream, with `rule` and `part` the identity of the delivery. */
  readonly position: number;
  readonly rule: string;
  /** Of a change that is several events which one it is. */
  readonly part: number;
  readonly target: string;
  readonly body: string;
  readonly createdMs: number;
}

export interface DueDelivery extends Delivery {
  /** How often it was tried in vain. */
  readonly attempts: number;
}

/** What is to be told and was not heard yet. Every verb is atomic and may be repeated. */
export interface DeliveryStore {
  /** In the transaction that also advances the cursor. */
  add(tx: Transaction, deliveries: readonly Delivery[]): Promise<void>;
  count(): Promise<number>;
  /** Those whose time has come, the oldest first. */
  due(nowMs: number, limit: number): Promise<readonly DueDelivery[]>;
  /** When the next one's time comes; `undefined` when there is none. */
  nextMs(): Promise<number | undefined>;
  remove(delivery: Delivery): Promise<void>;
  postpone(delivery: DueDelivery, untilMs: number): Promise<void>;
}

const migrations: readonly Migration[] = [
  {
    id: 1,
    name: 'deliveries',
    sql: `create table deliveries (
      position bigint not null, rule {text} not null, part bigint not null, target {text} not null, body {text} not null,
      created_ms bigint not null, next_ms bigint not null, attempts bigint not null, primary key (position, rule, part)
    );
    create index deliveries_due on deliveries (next_ms)`,
  },
];

/** The store in its own tables, made when they are missing. */
export async function openDeliveryStore(database: Database): Promise<DeliveryStore> {
  await migrate(database, migrations, { area: 'deliveries' });
  const write = (sql: string, ...params: (string | number)[]): Promise<void> =>
    database.transaction(async (tx) => void (await tx.run(sql, ...params)), { group: true });
  return {
    async add(tx, deliveries) {
      for (const { position, rule, part, target, body, createdMs } of deliveries) {
        await tx.run(
          `insert into deliveries (position, rule, part, target, body, created_ms, next_ms, attempts)
           values ($1, $2, $3, $4, $5, $6, $6, 0) on conflict (position, rule, part) do nothing`,
          ...[position, rule, part, target, body, createdMs],
        );
      }
    },
    count: async () => (await database.get<{ count: number }>('select count(*) as count from deliveries'))?.count ?? 0,
    due: (nowMs, limit) =>
      database.all<DueDelivery>(
        `select position, rule, part, target, body, created_ms as "createdMs", attempts from deliveries
         where next_ms <= $1 order by next_ms, position, part limit $2`,
        ...[nowMs, limit],
      ),
    async nextMs() {
      const found = await database.get<{ next: number | null }>('select min(next_ms) as next from deliveries');
      return found?.next ?? undefined;
    },
    remove: ({ position, rule, part }) =>
      write('delete from deliveries where position = $1 and rule = $2 and part = $3', position, rule, part),
    postpone: ({ position, rule, part, attempts }, untilMs) =>
      write(
        'update deliveries set next_ms = $4, attempts = $5 where position = $1 and rule = $2 and part = $3',
        ...[position, rule, part, untilMs, attempts + 1],
      ),
  };
}
