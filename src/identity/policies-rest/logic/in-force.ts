import type { Policy, PolicyStore } from '#gen/cellar/identity/v1/policies_pb.ts';
import type { Client } from '#kernel/calls/client.ts';
import { follow } from '#kernel/guard/follow.ts';
import type { Log } from '#kernel/log.ts';
import { decideBelow } from './decide-below.ts';
import { compilePolicies, type PolicySet, type Verdict } from './policy-set.ts';
import type { Question } from './question.ts';

/** The policies in force, kept in step with the store. */
export interface PoliciesInForce {
  /** Errors: `unavailable` while the store is away; `failed_precondition` when a stored policy cannot be read. Nothing is allowed then. */
  decide(question: Question, isWithAllBelow?: boolean): Promise<Verdict>;
  /** Resolves when the store's policies of this version, or newer ones, are in force. */
  reach(version: bigint): Promise<void>;
  /** Reads the store again. */
  refresh(): Promise<void>;
  /** Follows the store until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

interface Compiled {
  readonly version: bigint;
  readonly policies: PolicySet;
}

export function createPoliciesInForce(store: Client<typeof PolicyStore>, log: Log): PoliciesInForce {
  let current: Compiled | undefined;
  /** False: versions may be missed, so each decision asks the store itself. */
  let isFollowed = false;
  let turns = 0;
  let lastTurn = 0;
  const refresh = async (): Promise<Compiled> => {
    const turn = ++turns;
    const { version, policies } = await listAll(store);
    const compiled = { version, policies: await compilePolicies(policies) };
    // One that began earlier and took longer must not undo a later one.
    if (turn > lastTurn) {
      lastTurn = turn;
      current = compiled;
    }
    return compiled;
  };
  return {
    decide: async (question, isWithAllBelow = false) => {
      const { policies } = isFollowed && current ? current : await refresh();
      return isWithAllBelow ? decideBelow(policies, question) : policies(question);
    },
    reach: async (version) => {
      if (!current || current.version < version) await refresh();
    },
    refresh: async () => {
      await refresh();
    },
    run: (signal) =>
      follow({
        watch: async function* (patience) {
          for await (const { version } of store.watchPolicies({}, { signal: patience })) yield version;
        },
        onVersion: async (version) => {
          if (current?.version !== version) await refresh();
          isFollowed = true;
        },
        onLost: (error) => {
          isFollowed = false;
          log.warn('lost sight of the policies', { error });
        },
        signal,
      }),
  };
}

/** All policies, and the version they belong to. */
export async function listAll(
  store: Client<typeof PolicyStore>,
): Promise<{ readonly version: bigint; readonly policies: readonly Policy[] }> {
  const policies: Policy[] = [];
  let pageToken = '';
  let first: bigint | undefined;
  do {
    const page = await store.listPolicies({ pageSize: 1000, pageToken });
    first ??= page.version;
    policies.push(...page.policies);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  // Of the first page: what changed since comes with the next version.
  return { version: first, policies };
}
