import type { Database, Transaction } from '#kernel/database/database.ts';
import { failedPrecondition, notFound } from '#kernel/fault.ts';
import type { ClaimWish, EndReason, FleetStore, StoredClaim, StoredCluster } from '../store/store.ts';
import type { FleetEvent } from './events.ts';

export interface ClaimParts {
  readonly database: Database;
  readonly store: FleetStore;
  readonly append: (tx: Transaction, events: readonly FleetEvent[]) => Promise<void>;
  readonly now: () => number;
}

/** Gives a waiting claim a cluster, when one is free that fits and that none of those before waits for. `undefined`: none is. */
export async function bindClaim(
  { database, store, append, now }: ClaimParts,
  claim: StoredClaim,
  before: readonly ClaimWish[] = [],
): Promise<StoredClaim | undefined> {
  return await database.transaction(async (tx) => {
    const bound = await store.bind(tx, claim, now(), before);
    if (bound)
      await append(tx, [claimEvent(bound, 'ClaimBound', `${bound.userName} has cluster ${bound.cluster}`, bound.userName)]);
    return bound;
  });
}

/**
 * Ends a claim and has its cluster built anew, in one transaction. Ending what has ended changes nothing.
 * Errors: `not_found`.
 */
export async function endClaim(parts: ClaimParts, id: string, reason: EndReason, actor: string): Promise<StoredClaim> {
  const { database, store, append, now } = parts;
  for (;;) {
    const claim = await store.claim(id);
    if (!claim) throw notFound(`There is no claim "${id}"`, { reason: 'claim_missing' });
    if (claim.state === 'ended') return claim;
    const cluster = claim.cluster === '' ? undefined : await store.cluster(claim.cluster);
    const ended = await database
      .transaction(async (tx) => {
        const done = await store.endClaim(tx, id, reason, now());
        if (!done) return undefined;
        // Rolled back as a whole: it was given a cluster meanwhile, or somebody else has changed that, so look again.
        if (done.cluster !== claim.cluster) throw retry;
        if (cluster?.claim === id) {
          const changed = await store.updateCluster(tx, cluster.name, cluster.version, recycled(cluster, now()));
          if (changed === 'conflict') throw retry;
        }
        await append(tx, [claimEvent(done, 'ClaimEnded', endMessage(done), actor)]);
        return done;
      })
      .catch((error: unknown) => {
        if (error === retry) return undefined;
        throw error;
      });
    if (ended) return ended;
  }
}

/** Ends the claim of a cluster that goes, in the transaction that has it go. */
export async function endClaimIn(
  { store, append, now }: ClaimParts,
  tx: Transaction,
  id: string,
  reason: EndReason,
  actor: string,
): Promise<void> {
  const done = await store.endClaim(tx, id, reason, now());
  if (done) await append(tx, [claimEvent(done, 'ClaimEnded', endMessage(done), actor)]);
}

/** Back to the pool: nobody's, and running again even if whoever had it has stopped it. */
function recycled({ desired }: StoredCluster, nowMs: number): Partial<StoredCluster> {
  const free = { claim: '', owner: '', desired: desired === 'absent' ? desired : 'running' } as const;
  return { ...free, isRecycling: true, state: 'recycling', health: 'unknown', sinceMs: nowMs };
}

/** Errors: `not_found`; `failed_precondition` with reason `claim_ended`. */
export async function renewClaim({ database, store, append, now }: ClaimParts, id: string, ttlMs: number): Promise<StoredClaim> {
  const claim = await store.claim(id);
  if (!claim) throw notFound(`There is no claim "${id}"`, { reason: 'claim_missing' });
  const renewed = await database.transaction(async (tx) => {
    const done = await store.renewClaim(tx, id, now() + (ttlMs || claim.ttlMs));
    if (done)
      await append(tx, [
        claimEvent(done, 'ClaimRenewed', `${done.userName} keeps cluster ${done.cluster} longer`, done.userName),
      ]);
    return done;
  });
  if (renewed) return renewed;
  throw failedPrecondition(`Cannot renew claim "${id}": it ${claim.state === 'waiting' ? 'has no cluster yet' : 'has ended'}`, {
    reason: claim.state === 'waiting' ? 'claim_waiting' : 'claim_ended',
    hint: 'Apply for another cluster.',
  });
}

const retry = new Error('The cluster was changed meanwhile');

export function claimEvent(claim: StoredClaim, reason: string, message: string, actor: string): FleetEvent {
  const { id, cluster, given, user: owner } = claim;
  return { kind: 'claim', name: id, reason, message, actor, severity: 'info', ...(cluster ? { cluster, ...given } : {}), owner };
}

function endMessage({ userName, cluster, endReason }: StoredClaim): string {
  const what = cluster === '' ? 'waits no longer' : `gives back cluster ${cluster}`;
  const why = {
    released: '',
    expired: ': its time is over',
    operator: ': an operator ended it',
    cluster_lost: ': the cluster is lost',
    gave_up: '',
    '': '',
  };
  return `${userName} ${what}${why[endReason]}`;
}
