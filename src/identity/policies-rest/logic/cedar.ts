import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import type { Policy } from '#gen/cellar/identity/v1/policies_pb.ts';
import { type Fault, failedPrecondition, invalidArgument } from '#kernel/fault.ts';
import { Lru } from '#lib/lru.ts';
import type { PolicySet, Verdict } from './policy-set.ts';
import type { Question } from './question.ts';

/** Decisions kept of one set. */
const cacheMax = 10_000;
/** Longer questions, about very long paths, are not kept, so that they cannot fill the memory. */
const keyLengthMax = 1024;

/** What policies may speak of. Actions are an open set: those of the text itself are added. */
const entities = `
  entity Role;
  entity User in [Role] { name: String };
  entity Anybody { name: String };
  entity Path in [Path];
  entity Contract;
  entity Call in [Contract];`;

/**
 * Checks the text of one policy: that it is Cedar, says something, and speaks of what exists.
 * Errors: `invalid_argument` with line and column, both from 1.
 */
export function assertCedar(text: string): void {
  const parts = cedar.policySetTextToParts(text);
  if (parts.type === 'failure') throw textFault(text, parts.errors[0]);
  if (parts.policy_templates.length > 0) {
    throw invalidArgument('Cannot read the policy: it has a template (?principal or ?resource)', {
      reason: 'policy_invalid',
      hint: 'Name the principal and the resource.',
    });
  }
  if (parts.policies.length === 0) {
    throw invalidArgument('Cannot read the policy: it holds no permit and no forbid', { reason: 'policy_invalid' });
  }
  const answer = cedar.validate({
    validationSettings: { mode: 'strict' },
    schema: schemaFor(text),
    policies: { staticPolicies: text },
  });
  if (answer.type === 'failure') throw textFault(text, answer.errors[0]);
  // To the library a policy that can never apply is a warning. Here it is a mistake: `==` where `in` was meant, as a rule.
  const impossible = answer.validationWarnings.filter(({ error }) => /impossible|applicable action/.test(error.message));
  const [first] = [...answer.validationErrors, ...impossible];
  if (first) throw textFault(text, first.error);
}

let sets = 0;
/** The library keeps what it has parsed for good, so names of sets that are out of use serve again. */
const unusedNames: string[] = [];
const names = new FinalizationRegistry<string>((name) => unusedNames.push(name));

/** Makes policies ready, with a cache of decisions. Errors: `failed_precondition` naming the policy that is not Cedar. */
export function compileCedar(policies: readonly Pick<Policy, 'id' | 'text'>[]): PolicySet {
  const statements: Record<string, string> = {};
  const forbids = new Set<string>();
  const exceptions = new Set<string>();
  for (const { id, text } of policies) {
    const parts = cedar.policySetTextToParts(text);
    if (parts.type === 'failure') throw storedFault(id, parts.errors[0]);
    for (const [index, part] of parts.policies.entries()) {
      const name = `${id}#${index}`;
      statements[name] = part;
      const json = cedar.policyToJson(part);
      if (json.type === 'failure') throw storedFault(id, json.errors[0]);
      if (json.json.effect === 'forbid') forbids.add(name);
      // A condition such as `unless { resource in Path::"docs/private" }` makes an exception as well.
      collectPaths(json.json.effect === 'forbid' ? json.json : json.json.conditions, exceptions);
    }
  }
  const preparsedPolicySetId = unusedNames.pop() ?? `set ${++sets}`;
  const parsed = cedar.preparsePolicySet(preparsedPolicySetId, { staticPolicies: statements });
  if (parsed.type === 'failure') throw storedFault('(all)', parsed.errors[0]);
  const cache = new Lru<string, Verdict>(cacheMax);
  const decide = (question: Question): Verdict => {
    const { principal, action, resource } = question;
    const roles = principal.parents.map(({ id }) => id);
    const key = JSON.stringify([principal.type, principal.id, principal.name, roles, action, resource.type, resource.id]);
    const known = cache.get(key);
    if (known) return known;
    const verdict = verdictOf(cedar.statefulIsAuthorized({ ...toCall(question), preparsedPolicySetId }), forbids);
    if (key.length <= keyLengthMax) cache.set(key, verdict);
    return verdict;
  };
  const policySet = Object.assign(decide, { exceptions });
  names.register(policySet, preparsedPolicySetId);
  return policySet;
}

/** Puts the ids of all paths that a part of a policy names into `found`. */
function collectPaths(part: unknown, found: Set<string>): void {
  if (typeof part !== 'object' || part === null) return;
  if ('type' in part && part.type === 'Path' && 'id' in part) found.add(String(part.id));
  for (const inner of Object.values(part)) collectPaths(inner, found);
}

/** A question as the library takes it. */
export function toCall({ principal, action, resource }: Question) {
  const uid = ({ type, id }: { readonly type: string; readonly id: string }) => ({ type, id });
  // Each ancestor is an entity with one parent: the next one.
  const chain = [resource, ...resource.parents];
  return {
    principal: uid(principal),
    action: { type: 'Action', id: action },
    resource: uid(resource),
    context: {},
    entities: [
      { uid: uid(principal), attrs: { name: principal.name }, parents: principal.parents.map(uid) },
      ...chain.map((entity, index) => ({ uid: uid(entity), attrs: {}, parents: chain.slice(index + 1, index + 2).map(uid) })),
    ],
  };
}

function verdictOf(answer: cedar.AuthorizationAnswer, forbids: ReadonlySet<string>): Verdict {
  if (answer.type === 'failure') throw storedFault('(all)', answer.errors[0]);
  const { decision, diagnostics } = answer.response;
  // Cedar leaves out a policy that fails, such as one that reads a missing attribute. A forbid that cannot be decided forbids here.
  const failed = diagnostics.errors.map(({ policyId }) => policyId).filter((id) => forbids.has(id));
  const deciding = failed.length > 0 ? failed : diagnostics.reason;
  const ids = new Set(deciding.map((id) => id.slice(0, id.lastIndexOf('#'))));
  return { isAllowed: decision === 'allow' && failed.length === 0, policies: [...ids].toSorted() };
}

function schemaFor(text: string): string {
  const actions = new Set(Array.from(text.matchAll(/Action::("(?:[^"\\]|\\.)*")/g), ([, name]) => name));
  actions.add('"data:read"'); // A schema without actions would make every policy impossible.
  return `${entities}\n  action ${[...actions].join(', ')} appliesTo { principal: [User, Anybody], resource: [Path, Call] };`;
}

function textFault(text: string, error: cedar.DetailedError | undefined): Fault {
  const start = error?.sourceLocations?.[0]?.start;
  const place = start === undefined ? '' : ` at ${placeOf(text, start)}`;
  const message = (error?.message ?? 'it is not Cedar').replace(
    /^(failed to parse policies from string: |for policy `\w+`, )/,
    '',
  );
  return invalidArgument(`Cannot read the policy${place}: ${message}`, {
    reason: 'policy_invalid',
    ...(error?.help ? { hint: `${error.help}.` } : {}),
    violations: [{ field: 'policy.text', message: `${place.trim()} ${message}`.trim() }],
  });
}

/** `offset` counts bytes of UTF-8. */
function placeOf(text: string, offset: number): string {
  const lines = Buffer.from(text).subarray(0, offset).toString().split('\n');
  return `line ${lines.length}, column ${[...(lines.at(-1) ?? '')].length + 1}`;
}

function storedFault(id: string, error: cedar.DetailedError | undefined): Fault {
  return failedPrecondition(`Cannot decide: policy "${id}" cannot be read: ${error?.message ?? 'it is not Cedar'}`, {
    reason: 'policy_broken',
    hint: 'Nothing is allowed until it is mended or removed.',
  });
}
