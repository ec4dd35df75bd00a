import type { PolicySet, Verdict } from './policy-set.ts';
import { parseResource, type Question } from './question.ts';

/** Stands for all names that no policy can name. */
const anyName = '\0';

/**
 * The verdict on a path with everything below it: the first that does not allow, else that on the path itself.
 *
 * Policies tell paths apart only by the paths they name, so those that make exceptions are asked about, and for each what lies below it.
 */
export function decideBelow(policies: PolicySet, question: Question): Verdict {
  const verdict = policies(question);
  const { type, id: top } = question.resource;
  if (!verdict.isAllowed || type !== 'Path') return verdict;
  const exceptions = [...policies.exceptions].filter((path) => path !== top && (top === '' || path.startsWith(`${top}/`)));
  for (const path of [top, ...exceptions]) {
    for (const resource of [`data/${path}`, `data/${path}/${anyName}`]) {
      const below = policies({ ...question, resource: parseResource(resource) });
      if (!below.isAllowed) return below;
    }
  }
  return verdict;
}
