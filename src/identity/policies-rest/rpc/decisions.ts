import { Decisions, type PolicyStore } from '#gen/cellar/identity/v1/policies_pb.ts';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import type { Client } from '#kernel/calls/client.ts';
import { type Binding, implement } from '#kernel/calls/dispatcher.ts';
import { invalidArgument } from '#kernel/fault.ts';
import type { PoliciesInForce } from '../logic/in-force.ts';
import { explain } from '../logic/policy-set.ts';
import { createQuestion } from '../logic/question.ts';

/** `signal` aborts when the service stops: watching ends then. */
export function decisionsRpc(inForce: PoliciesInForce, store: Client<typeof PolicyStore>, signal: AbortSignal): Binding {
  return implement(Decisions, {
    async decide({ caller, action, resource, withAllBelow }) {
      if (!caller) throw invalidArgument('Cannot decide: no caller was given');
      if (caller.roles.includes(Role.SERVICE)) {
        return { allowed: true, policies: [], explanation: 'Allowed: policies are about people, not services.' };
      }
      const verdict = await inForce.decide(createQuestion(caller, action, resource), withAllBelow);
      return { allowed: verdict.isAllowed, policies: [...verdict.policies], explanation: explain(verdict) };
    },
    async *watchVersion(_request, call) {
      const watching = AbortSignal.any([call.signal, signal]);
      for await (const { version } of store.watchPolicies({}, { signal: watching })) {
        // Told only once it is in force here, so that nobody keeps an older decision under it.
        await inForce.reach(version);
        yield { version };
      }
    },
  });
}
