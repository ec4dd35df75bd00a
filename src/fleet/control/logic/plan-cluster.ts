import { type Backoff, backoffMs } from '#lib/backoff.ts';
import type { Health, HealthVerdict } from '../../common/words.ts';
import type { Action, ClusterRecord, ClusterState, Condition, Observation, ObservedMember } from './model.ts';

/** Unit: milliseconds, and counts. */
export interface PlanLimits {
  /** A cluster that is not ready so long after its building began has failed. */
  readonly buildMsMax: number;
  /** After it was ready or started again, failed checks do not count so long. */
  readonly graceMs: number;
  /** Failed checks in a row before something is done, and good ones before it counts as well. */
  readonly failuresMax: number;
  readonly successesMin: number;
  readonly repair: Backoff;
  /** How often a healthy cluster is looked at. */
  readonly everyMs: number;
  /** How soon one that is on its way. */
  readonly soonMs: number;
}

export interface PlanInput {
  readonly cluster: ClusterRecord;
  /** `unknown`: the host could not be asked. */
  readonly observation: Observation | 'unknown';
  /** Why it could not. */
  readonly whyUnknown?: { readonly reason: string; readonly message: string };
  /** Absent: not asked, since not all members were ready yet. */
  readonly verdict: HealthVerdict | undefined;
  readonly nowMs: number;
  readonly limits: PlanLimits;
  /** False while too much of the fleet is sick at once: then nothing is rebuilt. */
  readonly mayRebuild: boolean;
  readonly random?: () => number;
}

export interface ClusterPlan {
  readonly actions: readonly Action[];
  /** What of the record changes, also when there is nothing to do. */
  readonly changes: Partial<ClusterRecord>;
  /** When to look again at the latest. Unit: milliseconds. */
  readonly againMs: number;
}

/**
 * What to do next for one cluster, from what is wanted, what was seen, and the time. Pure, and level-triggered: it depends on no event, and
 * doing the same twice is safe, so that it may be cut off anywhere.
 *
 * What could not be asked is left alone. A used cluster is started again and never destroyed; a free one that is sick is built anew.
 */
export function planCluster(input: PlanInput): ClusterPlan {
  const past = inThePast(input);
  const { changes, ...rest } = planToday({ ...input, cluster: { ...input.cluster, ...past } });
  return { ...rest, changes: { ...past, ...changes } };
}

/** The clock may have been set back: what lies ahead then counts as now, and a pause is not longer than the longest there is. */
function inThePast({ cluster, nowMs, limits }: PlanInput): Partial<ClusterRecord> {
  const { sinceMs, readyMs, repairAfterMs } = cluster;
  const pausedMs = nowMs + limits.repair.maxMs;
  return {
    ...(sinceMs > nowMs ? { sinceMs: nowMs } : {}),
    ...(readyMs !== undefined && readyMs > nowMs ? { readyMs: nowMs } : {}),
    ...(repairAfterMs > pausedMs ? { repairAfterMs: pausedMs } : {}),
  };
}

function planToday(input: PlanInput): ClusterPlan {
  const { cluster, observation, limits } = input;
  if (observation === 'unknown') return unreachable(input);
  const old = observation.members.filter(({ incarnation }) => incarnation !== cluster.incarnation);
  const gone = new Set([...old.map(({ incarnation }) => incarnation), ...observation.leftovers]);
  gone.delete(cluster.incarnation);
  const sweep = [...gone].map((incarnation) => remove(incarnation, 'an earlier incarnation was left behind'));
  const present = observation.members.some(({ incarnation }) => incarnation === cluster.incarnation);
  const isLeft = present || observation.leftovers.includes(cluster.incarnation);

  if (cluster.desired === 'absent') {
    const actions = isLeft ? [remove(cluster.incarnation, 'deletion was asked for'), ...sweep] : sweep;
    return plan(input, 'deleting', 'unknown', actions.length > 0 ? actions : [{ kind: 'forget' }], limits.soonMs);
  }
  if (cluster.isRecycling) {
    const actions: Action[] = isLeft
      ? [remove(cluster.incarnation, 'it is built anew'), ...sweep]
      : [{ kind: 'renew' }, ...sweep];
    return plan(input, 'recycling', 'unknown', actions, limits.soonMs);
  }
  const own = new Map(
    observation.members.filter(({ incarnation }) => incarnation === cluster.incarnation).map((seen) => [seen.member, seen]),
  );
  // One that is built anew with the keys of a snapshot has to be there first.
  if (cluster.work && cluster.readyMs !== undefined) return moving(input, own, sweep, cluster.work.kind);
  if (cluster.desired === 'stopped' && !cluster.work) return stopping(input, own, sweep);
  return running(input, own, sweep);
}

type Own = ReadonlyMap<string, ObservedMember>;

const isRunning = (seen: ObservedMember | undefined): boolean => seen?.state === 'running' || seen?.state === 'starting';

/** Those that run, or may, as far as one knows. */
const upOf = ({ members }: ClusterRecord, own: Own): readonly string[] =>
  members.map(({ name }) => name).filter((name) => isRunning(own.get(name)) || own.get(name)?.state === 'unknown');

/** What volumes hold together is the same moment's only while nobody writes. */
function moving(input: PlanInput, own: Own, sweep: readonly Action[], kind: 'save' | 'load'): ClusterPlan {
  const { cluster, limits } = input;
  const [reason, message] =
    kind === 'save' ? ['SnapshotTaken', 'A snapshot is taken'] : ['SnapshotRestored', 'A snapshot is put back'];
  const verdict: HealthVerdict = { health: 'unknown', reason, message };
  const left = upOf(cluster, own);
  if (left.length === 0) return plan(input, 'stopping', 'unknown', [{ kind: 'move' }, ...sweep], limits.everyMs, {}, verdict);
  const stop: Action = { kind: 'stop', members: left.toReversed(), why: message.replace('A snap', 'a snap') };
  return plan(input, 'stopping', 'unknown', [stop, ...sweep], limits.soonMs, {}, verdict);
}

function stopping(input: PlanInput, own: Own, sweep: readonly Action[]): ClusterPlan {
  const { cluster, limits } = input;
  const left = upOf(cluster, own);
  if (left.length === 0) return plan(input, 'stopped', 'unknown', sweep, limits.everyMs, { restarted: cluster.restarts });
  // The last to start is the first to end.
  const stop: Action = { kind: 'stop', members: left.toReversed(), why: 'a stop was asked for' };
  return plan(input, 'stopping', 'unknown', [stop, ...sweep], limits.soonMs);
}

function running(input: PlanInput, own: Own, sweep: readonly Action[]): ClusterPlan {
  const { cluster, limits, nowMs, verdict } = input;
  const names = cluster.members.map(({ name }) => name);
  if (cluster.restarted !== cluster.restarts) {
    const left = names.filter((name) => isRunning(own.get(name)));
    if (left.length > 0)
      return plan(
        input,
        'stopping',
        'unknown',
        [{ kind: 'stop', members: left.toReversed(), why: 'a restart was asked for' }, ...sweep],
        limits.soonMs,
      );
    return plan(input, 'building', 'unknown', sweep, 0, { restarted: cluster.restarts, sinceMs: nowMs });
  }
  const isStartable = ({ after }: (typeof cluster.members)[number]): boolean =>
    after.every((name) => own.get(name)?.state === 'running' && own.get(name)?.isReady !== false);
  const missing = cluster.members.filter((member) => !own.has(member.name) && isStartable(member));
  const ended = cluster.members.filter(({ name }) => own.get(name)?.state === 'exited');
  const unknown = names.filter((name) => own.get(name)?.state === 'unknown');
  const areAllUp = names.every((name) => own.get(name)?.state === 'running' && own.get(name)?.isReady !== false);

  // Members that were there and are not any more lose their data when made anew, so a used cluster gets them back, a free one is rebuilt.
  if (cluster.readyMs === undefined) {
    const refusal = cluster.conditions.find(({ type, status }) => type === 'Built' && status === 'false');
    if (nowMs - cluster.sinceMs > limits.buildMsMax) {
      const why = refusal?.message ?? notReady(names, own, verdict);
      return failed(input, sweep, 'BuildTimeout', `It was not ready in time: ${why}`);
    }
    const doneFor = ended.filter(({ name }) => own.get(name)?.exitCode !== 0);
    if (doneFor.length > 0) {
      const [first] = doneFor;
      return failed(
        input,
        sweep,
        'MemberExited',
        `Member ${first?.name} ended: ${own.get(first?.name ?? '')?.message || 'without a word'}`,
      );
    }
    // What the engine has refused it would refuse again at once.
    const waitMs = refusal ? Math.max(0, cluster.repairAfterMs - nowMs) : 0;
    const actions: Action[] =
      missing.length > 0 && waitMs === 0 ? [{ kind: 'create', members: missing.map(({ name }) => name) }] : [];
    if (areAllUp && verdict?.health === 'ok') {
      const ready = { readyMs: nowMs, failures: 0, successes: 1, repairs: 0, repairAfterMs: 0 };
      return plan(input, 'ready', 'ok', sweep, limits.everyMs, ready, verdict);
    }
    return plan(input, 'building', 'unknown', [...actions, ...sweep], Math.max(limits.soonMs, waitMs), {}, verdict);
  }
  return keeping(input, { own, sweep, missing: missing.map(({ name }) => name), ended: ended.map(({ name }) => name), unknown });
}

interface Kept {
  readonly own: Own;
  readonly sweep: readonly Action[];
  readonly missing: readonly string[];
  readonly ended: readonly string[];
  readonly unknown: readonly string[];
}

/** A cluster that was ready once. */
function keeping(input: PlanInput, { own, sweep, missing, ended, unknown }: Kept): ClusterPlan {
  const { cluster, limits, nowMs, verdict } = input;
  if (missing.length + ended.length > 0) {
    const lost = [...missing, ...ended];
    const message = lost.map((name) => `${name}: ${own.get(name)?.message || (own.has(name) ? 'ended' : 'is gone')}`).join('; ');
    // Those that are left may be too few.
    const health: Health = lost.length < cluster.members.length && verdict?.health !== 'failed' ? 'degraded' : 'failed';
    const down = { health, reason: 'MembersDown', message };
    if (nowMs < cluster.repairAfterMs) return plan(input, 'ready', health, sweep, cluster.repairAfterMs - nowMs, {}, down);
    const actions: Action[] = [];
    if (ended.length > 0) actions.push({ kind: 'start', members: ended, why: message });
    if (missing.length > 0) actions.push({ kind: 'create', members: missing });
    // What an engine makes member by member, some of them after others, is one try.
    const isSameTry = ended.length === 0 && cluster.repairs > 0 && nowMs - cluster.sinceMs < limits.graceMs;
    // Who was just started needs a moment before it answers.
    const again = isSameTry ? { repairAfterMs: nowMs + limits.repair.firstMs } : { ...tried(input), sinceMs: nowMs };
    return plan(input, 'ready', health, [...actions, ...sweep], limits.soonMs, { ...again, failures: 0, successes: 0 }, down);
  }
  if (!verdict || verdict.health === 'unknown' || unknown.length === cluster.members.length)
    return plan(input, 'ready', 'unknown', sweep, limits.soonMs, {}, verdict);
  if (unknown.length > 0) {
    // Those that can be asked are enough, or they are not; nothing is done to what cannot be seen.
    const message = unknown.map((name) => `${name}: ${own.get(name)?.message || 'is not known of'}`).join('; ');
    const partly: HealthVerdict = { health: 'degraded', reason: 'MembersUnknown', message };
    const found = verdict.health === 'failed' ? verdict : partly;
    return plan(input, 'ready', found.health, sweep, limits.soonMs, {}, found);
  }
  if (verdict.health !== 'failed') {
    const successes = cluster.successes + 1;
    const isWell = cluster.health !== 'failed' || successes >= limits.successesMin;
    const health = isWell ? verdict.health : 'failed';
    const well = isWell ? { repairs: 0, repairAfterMs: 0 } : {};
    return plan(input, 'ready', health, sweep, limits.everyMs, { failures: 0, successes, ...well }, verdict);
  }
  const failures = cluster.failures + 1;
  const isInGrace = nowMs - Math.max(cluster.sinceMs, cluster.readyMs ?? 0) < limits.graceMs;
  if (failures < limits.failuresMax || isInGrace)
    return plan(
      input,
      'ready',
      cluster.health === 'failed' ? 'failed' : 'degraded',
      sweep,
      limits.soonMs,
      { failures, successes: 0 },
      verdict,
    );
  if (nowMs < cluster.repairAfterMs)
    return plan(input, 'ready', 'failed', sweep, cluster.repairAfterMs - nowMs, { failures, successes: 0 }, verdict);
  if (cluster.claim === '') return failed(input, sweep, verdict.reason, verdict.message);
  const restart: Action = { kind: 'stop', members: cluster.members.map(({ name }) => name).toReversed(), why: verdict.message };
  return plan(
    input,
    'ready',
    'failed',
    [restart, ...sweep],
    0,
    { ...tried(input), failures: 0, successes: 0, sinceMs: nowMs },
    verdict,
  );
}

/** It is built anew: a free one, or one that never was ready in this incarnation, so that its user has nothing in it. */
function failed(input: PlanInput, sweep: readonly Action[], reason: string, message: string): ClusterPlan {
  const { cluster, limits, nowMs, mayRebuild } = input;
  const verdict: HealthVerdict = { health: 'failed', reason, message };
  if (nowMs < cluster.repairAfterMs) return plan(input, 'failed', 'failed', sweep, cluster.repairAfterMs - nowMs, {}, verdict);
  if (!mayRebuild) {
    const held = {
      ...verdict,
      reason: 'RepairsHeld',
      message: `${message}; too much is sick at once, so nothing is rebuilt now`,
    };
    return plan(input, 'failed', 'failed', sweep, limits.everyMs, {}, held);
  }
  return plan(input, 'recycling', 'failed', [...sweep], 0, { ...tried(input), isRecycling: true }, verdict);
}

/** What keeps a cluster from being ready, for people. */
function notReady(names: readonly string[], own: Own, verdict: HealthVerdict | undefined): string {
  const late = names.flatMap((name) => {
    const seen = own.get(name);
    if (seen?.state === 'running') return seen.isReady === false ? [`${name} is not ready`] : [];
    return [`${name} ${seen ? seen.message || `is ${seen.state}` : 'is not there'}`];
  });
  return late.length > 0 ? late.join('; ') : (verdict?.message ?? 'it was not well');
}

function unreachable(input: PlanInput): ClusterPlan {
  const { cluster, limits, whyUnknown } = input;
  const { reason, message } = whyUnknown ?? { reason: 'HostUnreachable', message: `Host ${cluster.host} does not answer` };
  const verdict: HealthVerdict = { health: 'unknown', reason, message };
  return plan(input, cluster.state, 'unknown', [], limits.everyMs, {}, verdict);
}

function tried({ cluster, nowMs, limits, random }: PlanInput): Pick<ClusterRecord, 'repairs' | 'repairAfterMs'> {
  const repairs = cluster.repairs + 1;
  return { repairs, repairAfterMs: nowMs + backoffMs(limits.repair, repairs, random) };
}

const remove = (incarnation: number, why: string): Action => ({ kind: 'remove', incarnation, why });

function plan(
  input: PlanInput,
  state: ClusterState,
  health: Health,
  actions: readonly Action[],
  againMs: number,
  changes: Partial<ClusterRecord> = {},
  verdict?: HealthVerdict,
): ClusterPlan {
  const { cluster, observation, nowMs } = input;
  const conditions: Omit<Condition, 'changedMs'>[] = [
    observation === 'unknown'
      ? { type: 'Reachable', status: 'unknown', reason: 'HostUnreachable', message: `Host ${cluster.host} does not answer` }
      : { type: 'Reachable', status: 'true', reason: 'HostAnswers', message: '' },
    healthCondition(health, verdict),
    {
      type: 'Ready',
      status: state === 'ready' && health !== 'failed' ? (health === 'unknown' ? 'unknown' : 'true') : 'false',
      reason: verdict?.reason ?? state,
      message: verdict?.message ?? '',
    },
  ];
  // Why the engine refused stays to be seen until it does not matter any more.
  const refused = state === 'ready' || state === 'stopped' ? [] : cluster.conditions.filter(({ type }) => type === 'Built');
  return {
    actions,
    againMs,
    changes: {
      ...changes,
      state,
      health,
      conditions: [...conditions.map((one) => ({ ...one, changedMs: changedMs(cluster.conditions, one, nowMs) })), ...refused],
    },
  };
}

function healthCondition(health: Health, verdict: HealthVerdict | undefined): Omit<Condition, 'changedMs'> {
  const status = health === 'unknown' ? 'unknown' : health === 'ok' ? 'true' : 'false';
  return {
    type: 'Healthy',
    status,
    reason: verdict?.reason ?? (health === 'ok' ? 'AllWell' : 'NotAsked'),
    message: verdict?.message ?? '',
  };
}

function changedMs(before: readonly Condition[], now: Omit<Condition, 'changedMs'>, nowMs: number): number {
  const known = before.find(({ type }) => type === now.type);
  return known?.status === now.status ? known.changedMs : nowMs;
}
