import { aborted, Code, exhausted, Fault, notFound } from '#kernel/fault.ts';
import { type Bell, createBell } from '#lib/bell.ts';
import { fillParameters } from '../../blueprints/logic/plan-members.ts';
import type { Labels } from '../../common/words.ts';
import { fitsWish } from '../store/fits-wish.ts';
import type { ClaimWish, StoredClaim } from '../store/store.ts';
import { buildCluster } from './build-cluster.ts';
import { bindClaim, claimEvent, endClaim } from './claims.ts';
import type { ControlParts } from './control-parts.ts';

export interface ApplyWish extends ClaimWish {
  readonly user: string;
  readonly userName: string;
  readonly allowMultiple: boolean;
  /** 0: the default. */
  readonly ttlMs: number;
  /** 0: not at all. */
  readonly waitMs: number;
  readonly labels: Labels;
}

/** Unit: milliseconds, and claims of one user. */
export interface EngineLimits {
  readonly ttlMs: number;
  readonly ttlMsMax: number;
  readonly quota: number;
}

/** How often a waiting caller looks again when nobody rings. */
const lookMs = 500;
/** How many of those that wait are looked at before somebody is served at once. */
const lineMax = 100;
/** Whose labels are looked at. */
const hostsMax = 1000;

export interface Engine {
  /**
   * The caller's own claim that fits, else a free cluster. While it waits one is built on demand where a host has room.
   * Errors: `not_found` with reason `no_match`; `resource_exhausted` with reason `none_free` or `quota_reached`.
   */
  apply(wish: ApplyWish, signal: AbortSignal): Promise<StoredClaim>;
  /** Something has become free: those that wait look again. */
  ring(): void;
}

/** How those that wait tell the time, which is not the clock on the wall: that one jumps. */
export interface Patience {
  readonly monotonicMs: () => number;
  readonly createBell: () => Bell;
}

const real: Patience = { monotonicMs: () => performance.now(), createBell };

export function createEngine(
  parts: ControlParts,
  limits: () => EngineLimits,
  { monotonicMs, createBell }: Patience = real,
): Engine {
  const { database, store, now } = parts;
  const bells = new Set<Bell>();

  async function begin(wish: ApplyWish): Promise<StoredClaim> {
    const { quota, ttlMs, ttlMsMax } = limits();
    const nowMs = now();
    const { user, userName, labels, blueprint, parameters, selectors } = wish;
    const claim: StoredClaim = {
      ...{ id: parts.newId(), state: 'waiting', user, userName, labels, cluster: '', wish: { blueprint, parameters, selectors } },
      ttlMs: Math.min(wish.ttlMs || ttlMs, ttlMsMax),
      // While it waits: until then. Whoever waited may be gone without a word.
      ...{
        appliedMs: nowMs,
        boundMs: 0,
        expireMs: nowMs + wish.waitMs,
        expireMsMax: nowMs + ttlMsMax,
        endedMs: 0,
        endReason: '',
      },
    };
    // What is free is for those who came before and want the same.
    const line = await store.waiting(lineMax);
    const isLate = line.length === lineMax || line.some((other) => isSameWish(other, claim));
    return await database.transaction(
      async (tx) => {
        // First: two requests of one user wait here for each other, so that the second sees what the first has got.
        const own = wish.allowMultiple ? undefined : await store.ownMatch(tx, user, claim.wish);
        if (own) return own;
        await store.addClaim(tx, claim, quota);
        const before = line.map((other) => other.wish);
        const bound = isLate ? undefined : await store.bind(tx, claim, nowMs, before);
        // Rolled back as a whole: nobody waits.
        if (!bound && wish.waitMs === 0) throw new NoneFree(claim);
        const events = [
          claimEvent(claim, 'ClaimMade', `${userName} asks for a cluster${blueprint === '' ? '' : ` of ${blueprint}`}`, userName),
        ];
        if (bound) events.push(claimEvent(bound, 'ClaimBound', `${userName} has cluster ${bound.cluster}`, userName));
        await parts.append(tx, events);
        return bound ?? claim;
        // Many ask at once, and each transaction by itself would wait for the disk.
      },
      { group: true },
    );
  }

  /** Says why there is none; of parameters that no cluster can have, that. */
  async function refuse(claim: StoredClaim, tried: string): Promise<never> {
    const { blueprint, selectors } = claim.wish;
    const same = await store.clusters(blueprint === '' ? {} : { blueprint }, '', 1000);
    const labels = new Map((await store.hosts('', hostsMax)).map(({ name, spec }) => [name, spec.labels]));
    const fitting = same.filter((cluster) => fitsWish(cluster, claim.wish, labels.get(cluster.host) ?? {}));
    const what = `${blueprint === '' ? 'any blueprint' : `blueprint "${blueprint}"`}${selectors.length > 0 ? ' in these places' : ''}`;
    if (fitting.length === 0) {
      if (blueprint !== '') fillParameters((await parts.blueprint(blueprint)).blueprint, claim.wish.parameters);
      throw notFound(`No cluster of ${what} with these parameters is in the pool${tried}`, {
        reason: 'no_match',
        hint: 'Wait for one to be built (`--wait`; over REST `wait_seconds`), or ask an administrator for one.',
      });
    }
    const used = fitting.filter(({ claim: id }) => id !== '').length;
    throw exhausted(`No cluster of ${what} is free: ${used} of ${fitting.length} are used, the others are not ready${tried}`, {
      reason: 'none_free',
      hint: 'Try again later, or wait for one (`--wait`; over REST `wait_seconds`).',
      retryAfterMs: 5000,
    });
  }

  async function wait(claim: StoredClaim, waitMs: number, signal: AbortSignal): Promise<StoredClaim> {
    const bell = createBell();
    bells.add(bell);
    const endMs = monotonicMs() + waitMs;
    let tried = '';
    try {
      tried = await buildOnDemand(claim);
      while (!signal.aborted && monotonicMs() < endMs) {
        const now = await store.claim(claim.id);
        if (now?.state === 'bound') return now;
        if (now?.state === 'ended') break;
        const before = await turnOf(claim);
        if (before) {
          const bound = await bindClaim(parts, claim, before);
          if (bound) return bound;
        }
        await bell.wait(Math.min(lookMs, Math.max(1, endMs - monotonicMs())), signal);
      }
    } finally {
      bells.delete(bell);
    }
    const last = await store.claim(claim.id);
    if (last?.state === 'bound') return last;
    if (last?.endReason === 'released' || last?.endReason === 'operator')
      throw aborted('The claim was ended while it waited', { reason: 'claim_ended', hint: 'Apply again.' });
    await endClaim(parts, claim.id, 'gave_up', claim.userName);
    return await refuse(claim, tried);
  }

  /** In turn: wishes of those who came before, which are served before; `undefined`: one of them wants just the same. */
  async function turnOf(claim: StoredClaim): Promise<readonly ClaimWish[] | undefined> {
    const [first] = await store.waiting(1);
    if (first === undefined || first.id === claim.id) return [];
    if (isSameWish(first, claim)) return undefined;
    const line = await store.waiting(lineMax);
    const place = line.findIndex(({ id }) => id === claim.id);
    const before = line.slice(0, Math.max(0, place));
    return place < 0 || before.some((other) => isSameWish(other, claim)) ? undefined : before.map(({ wish }) => wish);
  }

  /** One more cluster for whoever waits, on the first host that fits and has room. Result: why not, for people. */
  async function buildOnDemand({ wish, userName }: StoredClaim): Promise<string> {
    const { blueprint, parameters, selectors } = wish;
    if (blueprint === '') return '';
    let whyNot = '';
    for (const { host, labels } of selectors.length > 0 ? selectors : [{ host: '', labels: {} }]) {
      try {
        const place = { ...(host === '' ? {} : { host }), hostLabels: labels };
        await buildCluster(parts, { blueprint, parameters, labels: {}, ...place }, userName);
        return '';
      } catch (error) {
        const { code, reason, message } = Fault.from(error);
        if (code === Code.InvalidArgument || reason === 'blueprint_missing') throw error;
        whyNot ||= `, and none could be built: ${message}`;
      }
    }
    return whyNot;
  }

  return {
    async apply(wish, signal) {
      let claim: StoredClaim;
      try {
        claim = await begin(wish);
      } catch (error) {
        if (error instanceof NoneFree) return await refuse(error.claim, '');
        throw error;
      }
      if (claim.state === 'bound') return claim;
      try {
        return await wait(claim, wish.waitMs, signal);
      } catch (error) {
        // Whoever does not wait any more must not be given a cluster.
        await endClaim(parts, claim.id, 'gave_up', wish.userName);
        throw error;
      }
    },
    ring() {
      for (const bell of bells) bell.ring();
    },
  };
}

const isSameWish = (one: StoredClaim, other: StoredClaim): boolean => JSON.stringify(one.wish) === JSON.stringify(other.wish);

/** Nothing is free, and whoever asked does not wait. */
class NoneFree extends Error {
  readonly claim: StoredClaim;

  constructor(claim: StoredClaim) {
    super('No cluster is free');
    this.claim = claim;
  }
}
