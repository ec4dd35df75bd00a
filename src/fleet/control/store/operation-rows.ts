import type { Database, SqlValue, Transaction } from '#kernel/database/database.ts';
import type { FleetStore, StoredOperation } from './store.ts';

type OperationVerbs = Pick<
  FleetStore,
  'addOperation' | 'operation' | 'operations' | 'updateOperation' | 'restoreInstead' | 'runningOperations'
>;

interface Row {
  readonly record: string;
}

export function createOperationRows(database: Database): OperationVerbs {
  const list = async (where: string, ...params: SqlValue[]): Promise<StoredOperation[]> =>
    (await database.all<Row>(`select record from operations where ${where}`, ...params)).map(
      ({ record }) => JSON.parse(record) as StoredOperation,
    );
  return {
    addOperation: async (tx, operation) => {
      const { id, state, kind, name, createdMs } = operation;
      await tx.run(
        'insert into operations (id, state, kind, name, created_ms, record) values ($1, $2, $3, $4, $5, $6)',
        ...[id, state, kind, name, createdMs, JSON.stringify(operation)],
      );
    },
    operation: async (id) => (await list('id = $1', id))[0],
    async operations({ kind, name, state }, after, limit) {
      const params: SqlValue[] = [];
      const where = ['1 = 1'];
      if (kind !== undefined) where.push(`kind = $${params.push(kind)}`);
      if (name !== undefined) where.push(`name = $${params.push(name)}`);
      if (state !== undefined) where.push(`state = $${params.push(state)}`);
      if (after) where.push(`(created_ms, id) < ($${params.push(after.createdMs)}, $${params.push(after.id)})`);
      return await list(`${where.join(' and ')} order by created_ms desc, id desc limit $${params.push(limit)}`, ...params);
    },
    async updateOperation(tx, operation) {
      const now = await lock(tx, operation.id);
      if (!now) return false;
      const { restores } = now;
      await write(tx, { ...operation, ...(restores ? { restores } : {}) });
      return true;
    },
    async restoreInstead(tx, id, restores) {
      const now = await lock(tx, id);
      if (now?.restores) await write(tx, { ...now, restores: { ...now.restores, ...restores } });
    },
    runningOperations: (limit) => list("state = 'running' order by created_ms, id limit $1", limit),
  };
}

/** Reads one that runs, and keeps it from changing until the transaction ends. */
async function lock(tx: Transaction, id: string): Promise<StoredOperation | undefined> {
  const { changes } = await tx.run("update operations set state = 'running' where id = $1 and state = 'running'", id);
  const row = changes === 1 ? await tx.get<Row>('select record from operations where id = $1', id) : undefined;
  return row && (JSON.parse(row.record) as StoredOperation);
}

async function write(tx: Transaction, operation: StoredOperation): Promise<void> {
  const { id, state } = operation;
  await tx.run('update operations set state = $2, record = $3 where id = $1', id, state, JSON.stringify(operation));
}
