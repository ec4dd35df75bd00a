import type { Policy } from '#gen/cellar/identity/v1/policies_pb.ts';
import { decidePlain, type PlainPolicy, parsePlain } from './plain-policies.ts';
import type { Question } from './question.ts';

export interface Verdict {
  readonly isAllowed: boolean;
  /** Ids of the policies that decided: those that forbid it, else those that permit it. */
  readonly policies: readonly string[];
}

/** Policies made ready to decide. */
export interface PolicySet {
  (question: Question): Verdict;
  /** Ids of the paths that policies name and at or below which less may be allowed than above. */
  readonly exceptions: ReadonlySet<string>;
}

/**
 * Makes policies ready. The Cedar library is loaded only when one of them needs it.
 * Errors: `failed_precondition` naming a policy whose text is not Cedar.
 */
export async function compilePolicies(policies: readonly Pick<Policy, 'id' | 'text'>[]): Promise<PolicySet> {
  const plain = new Map<string, readonly PlainPolicy[]>();
  for (const { id, text } of policies) {
    const parsed = parsePlain(text);
    if (!parsed) return (await import('./cedar.ts')).compileCedar(policies);
    plain.set(id, parsed);
  }
  return Object.assign((question: Question) => decidePlain(plain, question), {
    exceptions: exceptionsOf([...plain.values()].flat()),
  });
}

/** What a plain policy permits of a folder it permits of all below; only one that forbids makes exceptions. */
function exceptionsOf(policies: readonly PlainPolicy[]): ReadonlySet<string> {
  const forbidden = policies
    .filter(({ effect }) => effect === 'forbid')
    .flatMap(({ resource }) => [resource.equals, resource.within]);
  return new Set(forbidden.filter((entity) => entity?.type === 'Path').map((entity) => entity?.id ?? ''));
}

/** One sentence for people. */
export function explain({ isAllowed, policies }: Verdict): string {
  const names = policies.map((id) => `"${id}"`).join(', ');
  const subject = policies.length > 1 ? 'policies' : 'policy';
  if (isAllowed) return `Allowed by ${subject} ${names}.`;
  return policies.length > 0 ? `Forbidden by ${subject} ${names}.` : 'Denied: no policy allows it.';
}
