import { isDeepStrictEqual } from 'node:util';
import type { Database, Transaction } from '#kernel/database/database.ts';
import { Code, Fault } from '#kernel/fault.ts';
import type { Log } from '#kernel/log.ts';
import { backoffMs } from '#lib/backoff.ts';
import type { Blueprint } from '../../blueprints/logic/blueprint.ts';
import type { Judged, Progress } from '../../blueprints/logic/judge-health.ts';
import { makeSecrets } from '../../blueprints/logic/make-secrets.ts';
import { type PlanContext, type PlannedMember, planChecks, planMembers } from '../../blueprints/logic/plan-members.ts';
import type { Driver } from '../../driver/driver.ts';
import type { FleetStore, StoredCluster, StoredHost } from '../store/store.ts';
import { askHealth, askReady } from './ask-cluster.ts';
import { clusterEvents } from './cluster-events.ts';
import { type FleetEvent, factsOf } from './events.ts';
import { type HostSights, isSeen } from './host-sights.ts';
import type { Action, Observation } from './model.ts';
import { type PlanLimits, planCluster } from './plan-cluster.ts';
import { type VolumeMover, workAfterRenewal } from './volume-work.ts';

export interface ReconcileParts {
  readonly database: Database;
  readonly store: FleetStore;
  readonly sights: HostSights;
  readonly driverOf: (host: string) => Promise<Driver>;
  /** The text a cluster was made from, by its digest. Errors: `data_loss` when it is gone. */
  readonly blueprintOf: (digest: string) => Promise<Blueprint>;
  /** Appends events in the transaction of the change they tell of, and refuses a watchdog that is not the newest any more. */
  readonly commit: (tx: Transaction, events: readonly FleetEvent[]) => Promise<void>;
  readonly newSecret: (bytes: number) => string;
  /** Where clients reach the host's ports. */
  readonly publicHost: (host: StoredHost) => string;
  readonly limits: PlanLimits;
  readonly mayRebuild: (cluster: StoredCluster) => boolean;
  /**
   * What health rules remember from one look to the next, by cluster. In memory only: it changes with every block, and whoever has lost it
   * is patient once more.
   */
  readonly progress: Map<string, { readonly incarnation: number; readonly rules: Progress }>;
  /** Absent: no snapshot can be asked for. */
  readonly mover?: VolumeMover;
  readonly now: () => number;
  readonly log: Log;
}

/** When to look at a cluster again; `undefined`: it is gone. Unit: milliseconds. */
export type AgainMs = number | undefined;

/**
 * One look at one cluster: reads what is wanted, sees what is there, decides, notes the decision with its events, and acts. It may be cut off
 * anywhere and repeated. `sinceMs`: how new the look at its host has to be. `read`: the rows as they were read with all others; enough to find that
 * there is nothing to do, and read again when there is.
 * Errors: `aborted` when the row changed meanwhile (look again); those of the database. Failures of the engine are noted, not thrown.
 */
export async function reconcileCluster(
  parts: ReconcileParts,
  name: string,
  sinceMs: number,
  signal: AbortSignal,
  read?: { readonly cluster: StoredCluster; readonly host: StoredHost },
): Promise<AgainMs> {
  const { store, limits, now } = parts;
  const cluster = read?.cluster ?? (await store.cluster(name));
  if (!cluster) {
    parts.progress.delete(name);
    return undefined;
  }
  const host = read?.host ?? (await store.hostRecord(cluster.host));
  if (!host)
    throw new Fault(Code.DataLoss, `Cluster "${name}" lies on host "${cluster.host}", which is not there`, {
      reason: 'host_missing',
    });
  const sight = await parts.sights.since(cluster.host, sinceMs, signal);
  const nowMs = now();
  const known = parts.progress.get(name);
  const remembered = known?.incarnation === cluster.incarnation ? known.rules : {};
  const blueprint = await parts.blueprintOf(cluster.digest);
  const context = contextOf(parts, cluster, host);
  const plan = planChecks(blueprint, context);
  let observation: Observation | 'unknown' = 'unknown';
  let whyUnknown = isSeen(sight)
    ? undefined
    : { reason: 'HostUnreachable', message: `Host ${host.name} does not answer: ${sight.error.message}` };
  let judged: Judged | undefined;
  if (isSeen(sight)) {
    const { members, leftovers } = sight.of(name);
    const own = members.filter(({ incarnation }) => incarnation === cluster.incarnation);
    const isAsked = (cluster.desired === 'running' || cluster.work !== undefined) && !cluster.isRecycling;
    try {
      const driver = await parts.driverOf(cluster.host);
      const isBuilding = cluster.readyMs === undefined;
      const ready = isAsked && isBuilding ? await askReady(driver, cluster, plan, own, signal) : new Map<string, boolean>();
      const areReady =
        plan.members.every((member) => own.some((seen) => seen.member === member.name && seen.state === 'running')) &&
        ![...ready.values()].includes(false);
      // By the monotonic clock: when that on the wall jumps, no chain has stood still and no rule has held.
      if (isAsked && (areReady || !isBuilding))
        judged = await askHealth(driver, cluster, plan, own, remembered, performance.now(), signal);
      observation = {
        members: members.map((seen) => {
          const isReady = seen.incarnation === cluster.incarnation ? ready.get(seen.member) : undefined;
          return isReady === undefined ? seen : { ...seen, isReady };
        }),
        leftovers: leftovers.map(({ incarnation }) => incarnation),
      };
    } catch (error) {
      signal.throwIfAborted();
      const { reason, message } = Fault.from(error);
      whyUnknown = { reason, message: `Host ${host.name} cannot ask its members: ${message}` };
      parts.log.debug('a cluster could not be asked', { cluster: name, error });
    }
  }
  const { buildSeconds } = blueprint;
  const { actions, changes, againMs } = planCluster({
    cluster,
    observation,
    ...(whyUnknown ? { whyUnknown } : {}),
    verdict: judged?.verdict,
    nowMs,
    limits: buildSeconds === undefined ? limits : slower(limits, buildSeconds * 1000),
    mayRebuild: parts.mayRebuild(cluster),
  });
  const isIdle = actions.length === 0 && isSame(cluster, { ...changes, observedGeneration: cluster.generation });
  if (read && !isIdle) return await reconcileCluster(parts, name, sinceMs, signal);
  // What is removed needs no copy any more.
  if (!cluster.work || actions.some(({ kind }) => kind === 'remove')) parts.mover?.leave(name);
  if (judged) parts.progress.set(name, { incarnation: cluster.incarnation, rules: judged.progress });
  const noted = await note(parts, cluster, changes, actions);
  if (!noted) {
    parts.progress.delete(name);
    return undefined;
  }
  if (actions.some(({ kind }) => kind === 'renew')) return 0;
  const failure = await act(parts, noted, () => planMembers(blueprint, context).members, actions, signal);
  if (failure) {
    parts.log.warn('a cluster could not be changed', { cluster: name, error: failure });
    const isCounted = noted.repairs !== cluster.repairs;
    return Math.max(againMs, await tell(parts, noted, failure, isCounted));
  }
  return againMs;
}

function contextOf(parts: ReconcileParts, cluster: StoredCluster, host: StoredHost): PlanContext {
  const { incarnation, parameters, secrets, ports, name } = cluster;
  return {
    ...{ cluster: name, incarnation, parameters, secrets, ports },
    agent: host.spec.type,
    publicHost: parts.publicHost(host),
  };
}

/** What takes longer to build takes longer to answer again when it was started again. */
const slower = (limits: PlanLimits, buildMsMax: number): PlanLimits => ({
  ...limits,
  buildMsMax,
  graceMs: Math.max(limits.graceMs, buildMsMax / 10),
});

/** Writes what changes, with its events; nothing when nothing does. `undefined`: the cluster is gone now. */
async function note(
  parts: ReconcileParts,
  cluster: StoredCluster,
  changes: Partial<StoredCluster>,
  actions: readonly Action[],
): Promise<StoredCluster | undefined> {
  const { database, store, commit, now } = parts;
  const isForgotten = actions.some(({ kind }) => kind === 'forget');
  const renewed = actions.some(({ kind }) => kind === 'renew') ? await renewal(parts, cluster) : {};
  const all: Partial<StoredCluster> = { ...changes, ...renewed, observedGeneration: cluster.generation };
  const after: StoredCluster = { ...cluster, ...all };
  const events = clusterEvents(cluster, after, actions);
  if (!isForgotten && events.length === 0 && isSame(cluster, all)) return cluster;
  return await database.transaction(async (tx) => {
    await commit(tx, events);
    const done = isForgotten
      ? await store.removeCluster(tx, cluster.name, cluster.version)
      : await store.updateCluster(tx, cluster.name, cluster.version, all);
    if (done === 'conflict')
      throw new Fault(Code.Aborted, `Cluster "${cluster.name}" was changed meanwhile`, { reason: 'version_differs' });
    return done === 'done' ? undefined : done;
  });

  async function renewal({ store: _ }: ReconcileParts, before: StoredCluster): Promise<Partial<StoredCluster>> {
    const blueprint = await parts.blueprintOf(before.digest);
    const work = workAfterRenewal(before);
    const secrets = work ? before.secrets : await makeSecrets(blueprint, before.parameters, parts.newSecret, now());
    const fresh = { failures: 0, successes: 0, readyMs: undefined, restarted: before.restarts, conditions: [] };
    return {
      ...fresh,
      secrets,
      incarnation: before.incarnation + 1,
      isRecycling: false,
      work,
      state: 'building',
      health: 'unknown',
      sinceMs: now(),
    };
  }
}

/** Counters of checks that stay the same kind of news are not worth a write each time. */
function isSame(cluster: StoredCluster, changes: Partial<StoredCluster>): boolean {
  const { successes, ...rest } = changes;
  if (successes !== undefined && cluster.health === 'failed') return false;
  return Object.entries(rest).every(([name, value]) => isDeepStrictEqual(Reflect.get(cluster, name), value));
}

/** Does what was decided; the first failure ends it, since the next look decides anew. */
async function act(
  parts: ReconcileParts,
  cluster: StoredCluster,
  plan: () => readonly PlannedMember[],
  actions: readonly Action[],
  signal: AbortSignal,
): Promise<Fault | undefined> {
  const { name, incarnation } = cluster;
  const ref = { cluster: name, incarnation };
  try {
    const driver = actions.length > 0 ? await parts.driverOf(cluster.host) : undefined;
    for (const action of actions) {
      if (action.kind === 'create')
        await driver?.create(
          ref,
          plan().filter((member) => action.members.includes(member.name)),
          cluster.labels,
          signal,
        );
      if (action.kind === 'start') await driver?.start(ref, action.members, signal);
      if (action.kind === 'stop') await driver?.stop(ref, action.members, signal);
      if (action.kind === 'move') parts.mover?.begin(cluster, signal);
      if (action.kind === 'remove') await driver?.remove({ cluster: name, incarnation: action.incarnation }, signal);
    }
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return Fault.from(error);
  }
}

/**
 * A failure of the engine is an event and a condition, so that it can be seen where people look. What was refused, unless it is counted
 * already, counts as a repair that did not help, and is tried again later and later; an engine that is away refuses nothing.
 * Result: when to try again, in milliseconds.
 */
async function tell(parts: ReconcileParts, cluster: StoredCluster, failure: Fault, isCounted: boolean): Promise<number> {
  const { name } = cluster;
  const { repair } = parts.limits;
  const repairs = failure.isRetryable || isCounted ? cluster.repairs : cluster.repairs + 1;
  const waitMs = repairs === cluster.repairs ? repair.firstMs : backoffMs(repair, repairs);
  const repairAfterMs = repairs === cluster.repairs ? cluster.repairAfterMs : parts.now() + waitMs;
  const known = cluster.conditions.find(({ type }) => type === 'Built');
  const built = { type: 'Built', status: 'false', reason: failure.reason || failure.code, message: failure.message } as const;
  const isKnown = known?.status === 'false' && known.message === built.message;
  const conditions = isKnown
    ? cluster.conditions
    : [...cluster.conditions.filter(({ type }) => type !== 'Built'), { ...built, changedMs: parts.now() }];
  await parts.database.transaction(async (tx) => {
    const hint = failure.hint ? `. ${failure.hint}` : '';
    const news = {
      kind: 'cluster',
      name,
      cluster: name,
      ...factsOf(cluster),
      actor: 'watchdog',
      severity: 'error',
      reason: 'EngineRefused',
      message: `Cluster ${name}: ${failure.message}${hint}`,
    } as const;
    await parts.commit(tx, isKnown ? [] : [news]);
    await parts.store.updateCluster(tx, name, cluster.version, { conditions, repairs, repairAfterMs });
  });
  return waitMs;
}
