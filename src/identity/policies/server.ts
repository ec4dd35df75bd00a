import type { Micro, Running } from '#kernel/services/service.ts';
import { policyStoreRpc } from './rpc/policy-store.ts';
import { createSqlPolicyRows } from './store/sql.ts';

export function createServer({ database, clock, signal }: Micro): Running {
  const rows = createSqlPolicyRows(database);
  return {
    bindings: [policyStoreRpc(rows, () => clock.now(), signal)],
    check: (patience) => database.check(patience),
  };
}
