import { anybody, type Caller } from '#kernel/calls/caller.ts';
import { failedPrecondition } from '#kernel/fault.ts';
import type { PolicySet } from './policy-set.ts';
import { createQuestion } from './question.ts';

const needed = [
  { who: 'administrator', action: 'identity:write', resource: 'call/cellar.identity.v1.Policies/SetPolicy' },
  { who: 'administrator', action: 'identity:write', resource: 'call/cellar.identity.v1.Policies/RemovePolicy' },
  { who: 'administrator', action: 'identity:read', resource: 'call/cellar.identity.v1.Policies/ShowPolicy' },
  { who: 'anybody', action: 'identity:write', resource: 'call/cellar.identity.v1.Sessions/Login' },
] as const;

/**
 * Checks that policies leave a way back: people can sign in, and the administrator who makes the change can undo it.
 * Errors: `failed_precondition` that says what nobody could do any more.
 */
export function assertNotLockedOut(policies: PolicySet, administrator: Caller): void {
  for (const { who, action, resource } of needed) {
    const { isAllowed } = policies(createQuestion(who === 'anybody' ? anybody : administrator, action, resource));
    if (isAllowed) continue;
    const subject = who === 'anybody' ? 'nobody' : `${administrator.name}, who makes the change,`;
    const verb = who === 'anybody' ? 'could' : 'could not';
    throw failedPrecondition(
      `Cannot change policies: ${subject} ${verb} make the ${resource.replace(/^call\//, 'call ')} any more`,
      {
        reason: 'lock_out',
        hint: 'Keep a policy that permits it, or narrow the one that forbids it.',
      },
    );
  }
}
