import { PolicyStore } from '#gen/cellar/identity/v1/policies_pb.ts';
import { Users } from '#gen/cellar/identity/v1/users_pb.ts';
import type { Micro, Running } from '#kernel/services/service.ts';
import { putDefaultPolicies } from './logic/default-policies.ts';
import { createEngine } from './logic/engine.ts';
import { decisionsRpc } from './rpc/decisions.ts';
import { policiesRpc } from './rpc/policies.ts';

export async function createServer(micro: Micro): Promise<Running> {
  const store = micro.client(PolicyStore);
  const users = micro.client(Users);
  const engine = createEngine(store, micro.log);
  await putDefaultPolicies(store, micro.signal);
  await engine.refresh();
  const following = engine.run(micro.signal);
  return {
    bindings: [policiesRpc({ store, users, engine }), decisionsRpc(engine, store, micro.signal)],
    stop: () => following,
  };
}
