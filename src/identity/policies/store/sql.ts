import { createCounter } from '#kernel/database/counter.ts';
import type { Database, Sql } from '#kernel/database/database.ts';
import { aborted, notFound } from '#kernel/fault.ts';
import type { PolicyRows, StoredPolicy } from './store.ts';

const columns = 'id, description, text, version, update_time as "updateTimeMs"';

export function createSqlPolicyRows(database: Database): PolicyRows {
  const version = createCounter(database, 'version');
  const find = (sql: Sql, id: string): Promise<StoredPolicy | undefined> =>
    sql.get<StoredPolicy>(`select ${columns} from policies where id = $1`, id);
  return {
    put: (policy, expectedVersion) =>
      database.transaction(async (tx) => {
        const next = await version.grow(tx); // First: writers wait here for each other.
        assertUnchanged(policy.id, await find(tx, policy.id), expectedVersion);
        await tx.run(
          `insert into policies (id, description, text, version, update_time) values ($1, $2, $3, $4, $5)
           on conflict (id) do update set description = excluded.description, text = excluded.text,
             version = excluded.version, update_time = excluded.update_time`,
          policy.id,
          policy.description,
          policy.text,
          next,
          policy.updateTimeMs,
        );
        return { ...policy, version: next };
      }),
    get: (id) => find(database, id),
    async list(after, limit) {
      // The version first: policies that are newer than it are read again, older ones would be kept for good.
      const listed = await version.read();
      const sql = `select ${columns} from policies where id > $1 order by id limit $2`;
      return { policies: await database.all<StoredPolicy>(sql, after, limit), version: listed };
    },
    delete: (id, expectedVersion) =>
      database.transaction(async (tx) => {
        await version.grow(tx);
        const stored = await find(tx, id);
        if (!stored) throw notFound(`Cannot delete policy "${id}": there is none of this name`);
        assertUnchanged(id, stored, expectedVersion);
        await tx.run('delete from policies where id = $1', id);
      }),
    watch: (signal) => version.watch(signal),
  };
}

function assertUnchanged(id: string, stored: StoredPolicy | undefined, expectedVersion: number | undefined): void {
  if (expectedVersion === undefined || stored?.version === expectedVersion) return;
  throw aborted(`Cannot change policy "${id}": it was ${stored ? 'changed' : 'deleted'} meanwhile`, {
    reason: 'etag_mismatch',
    hint: 'Read it again, and make the change on what it says now.',
  });
}
