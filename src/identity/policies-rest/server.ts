import { PolicyStore } from '#gen/cellar/identity/v1/policies_pb.ts';
import { Users } from '#gen/cellar/identity/v1/users_pb.ts';
import { anybody } from '#kernel/calls/caller.ts';
import type { Micro, Running } from '#kernel/services/service.ts';
import { putDefaultPolicies } from './logic/default-policies.ts';
import { createPoliciesInForce } from './logic/in-force.ts';
import { createQuestion } from './logic/question.ts';
import { decisionsRpc } from './rpc/decisions.ts';
import { policiesRpc } from './rpc/policies.ts';

export async function createServer(micro: Micro): Promise<Running> {
  const store = micro.client(PolicyStore);
  const users = micro.client(Users);
  const inForce = createPoliciesInForce(store, micro.log);
  await putDefaultPolicies(store, micro.signal);
  await inForce.refresh();
  const following = inForce.run(micro.signal);
  return {
    bindings: [policiesRpc({ store, users, inForce }), decisionsRpc(inForce, store, micro.signal)],
    // Any question will do: it cannot be answered while the store is away or holds a policy that cannot be read.
    check: async () => {
      await inForce.decide(createQuestion(anybody, 'data:read', 'data'));
    },
    stop: () => following,
  };
}
