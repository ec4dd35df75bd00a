import { Policies, type Policy, type PolicyStore } from '#gen/cellar/identity/v1/policies_pb.ts';
import type { Users } from '#gen/cellar/identity/v1/users_pb.ts';
import type { Call } from '#kernel/calls/call.ts';
import type { Client } from '#kernel/calls/client.ts';
import { type Binding, implement } from '#kernel/calls/dispatcher.ts';
import { invalidArgument } from '#kernel/fault.ts';
import { createKeyedLock } from '#lib/keyed-lock.ts';
import { assertPolicyText } from '../logic/assert-policy-text.ts';
import { listAll, type PoliciesInForce } from '../logic/in-force.ts';
import { assertNotLockedOut } from '../logic/lock-out.ts';
import { compilePolicies, explain } from '../logic/policy-set.ts';
import { createQuestion } from '../logic/question.ts';

export interface PoliciesParts {
  readonly store: Client<typeof PolicyStore>;
  readonly users: Client<typeof Users>;
  readonly inForce: PoliciesInForce;
}

export function policiesRpc({ store, users, inForce }: PoliciesParts): Binding {
  // One change at a time: two that are harmless apart could lock everybody out together.
  const changes = createKeyedLock();
  const assertSafe = async (call: Call, change: (policies: readonly Policy[]) => readonly Policy[]): Promise<void> => {
    const { policies } = await listAll(store);
    assertNotLockedOut(await compilePolicies(change(policies)), call.caller);
  };
  return implement(Policies, {
    async setPolicy({ policy }, call) {
      if (!policy) throw invalidArgument('Cannot set a policy: none was given');
      await assertPolicyText(policy.text);
      return changes.run('all', async () => {
        await assertSafe(call, (policies) => [...policies.filter(({ id }) => id !== policy.id), policy]);
        const stored = await store.putPolicy({ policy }, { call });
        await inForce.refresh();
        return stored;
      });
    },
    async removePolicy(request, call) {
      return changes.run('all', async () => {
        await assertSafe(call, (policies) => policies.filter(({ id }) => id !== request.id));
        const answer = await store.deletePolicy(request, { call });
        await inForce.refresh();
        return answer;
      });
    },
    showPolicy: (request, call) => store.getPolicy(request, { call }),
    browsePolicies: (request, call) => store.listPolicies(request, { call }),
    async testPolicies({ user: name, action, resource }, call) {
      const user = await users.getUser({ name }, { call });
      const verdict = await inForce.decide(createQuestion(user, action, resource));
      return { allowed: verdict.isAllowed, policies: [...verdict.policies], explanation: explain(verdict) };
    },
  });
}
