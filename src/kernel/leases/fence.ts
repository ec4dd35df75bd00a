import type { Database, Transaction } from '../database/database.ts';
import { type Migration, migrate } from '../database/migrations.ts';
import { aborted } from '../fault.ts';

const migrations: readonly Migration[] = [
  { id: 1, name: 'fences', sql: 'create table cellar_fences (name {text} primary key, epoch bigint not null)' },
];

/** Makes the table that `fenced` needs, in the database that is written to. */
export async function prepareFences(database: Database): Promise<void> {
  await migrate(database, migrations, { area: 'fences' });
}

/**
 * Refuses the transaction of a holder that has been overtaken. Call it first in every transaction that a lease protects:
 * this database remembers the highest epoch it has seen, so it works wherever the leases themselves are kept, and on
 * PostgreSQL the remembered row stays locked until the transaction ends.
 *
 * Errors: `aborted` with reason `lease_overtaken` when a later epoch has written here.
 */
export async function fenced(tx: Transaction, name: string, epoch: number): Promise<void> {
  const { changes } = await tx.run(
    `insert into cellar_fences (name, epoch) values ($1, $2)
     on conflict (name) do update set epoch = excluded.epoch where cellar_fences.epoch <= excluded.epoch`,
    name,
    epoch,
  );
  if (changes === 1) return;
  throw aborted(`The lease ${name} has a newer holder than epoch ${epoch}`, { reason: 'lease_overtaken' });
}
