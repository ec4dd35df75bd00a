import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { StatisticsSchema } from '#gen/cellar/fleet/v1/engine_pb.ts';
import type { FigureStore, Timing, UsagePiece } from '../store/figures.ts';
import type { FleetStore } from '../store/store.ts';
import type { ClusterCount, FleetCounts } from './count-fleet.ts';

/** Counts by state, host and blueprint, and how long things took. Kept in the database, so a restart forgets none but the last seconds. */
export interface Statistics {
  /** A request for a cluster was answered with one. Unit: milliseconds. */
  applied(blueprint: string, durationMs: number): void;
  refused(): void;
  /** A cluster was ready so long after it was asked for. Unit: milliseconds. */
  ready(blueprint: string, durationMs: number): void;
  /** What use over time is drawn from; to be called regularly by whoever watches. */
  sample(counts: FleetCounts, waiting: number): Promise<void>;
  /** Writes what is not written yet; to be called now and then, and at the end. */
  flush(): Promise<void>;
  /** `windowSeconds` 0: a day. */
  read(windowSeconds: number): Promise<MessageInitShape<typeof StatisticsSchema>>;
}

const daySeconds = 86_400;
/** Of each kind the newest are looked at. */
const timingsMax = 20_000;
const claimsMax = 10_000;
/** What is not written yet; beyond that the oldest are forgotten. */
const pendingMax = 2000;
const pageSize = 500;
/** Points of a drawing over the window. */
const pointsMax = 100;

export function createStatistics(
  store: Pick<FleetStore, 'hosts' | 'claims'>,
  figures: FigureStore,
  now: () => number,
): Statistics {
  let pending: Timing[] = [];
  let claims = 0;
  let refusals = 0;
  const keep = (kind: Timing['kind'], blueprint: string, durationMs: number): void => {
    pending.push({ kind, blueprint, atMs: now(), durationMs });
    if (pending.length > pendingMax) pending = pending.slice(-pendingMax / 2);
  };

  async function flush(): Promise<void> {
    const timings = pending;
    pending = [];
    if (timings.length > 0) await figures.addTimings(timings);
  }

  async function hostCounts() {
    const counts = [];
    for (let page = await store.hosts('', pageSize); page.length > 0; page = await store.hosts(page.at(-1)?.name ?? '', pageSize))
      counts.push(...page.map(({ name, state }) => ({ host: name, state, count: 1 })));
    return counts;
  }

  return {
    applied(blueprint, durationMs) {
      claims += 1;
      keep('apply', blueprint, durationMs);
    },
    refused() {
      refusals += 1;
    },
    ready: (blueprint, durationMs) => keep('ready', blueprint, durationMs),
    sample: ({ total }, waiting) => figures.addUsage({ ...total, waiting }, now()),
    flush,
    async read(windowSeconds) {
      const nowMs = now();
      const windowMs = (windowSeconds || daySeconds) * 1000;
      const sinceMs = nowMs - windowMs;
      await flush();
      const counts = await figures.clusterCounts();
      const held = await store.claims({ withEnded: true }, undefined, claimsMax);
      const ended = held.filter(({ boundMs, endedMs }) => boundMs > 0 && endedMs >= sinceMs);
      const ready = await figures.timings('ready', sinceMs, timingsMax);
      const apply = await figures.timings('apply', sinceMs, timingsMax);
      const { spanMs, pieces } = await figures.usage(sinceMs, nowMs);
      const { stepMs, points } = downsample(pieces, spanMs, windowMs);
      const blueprints = [...new Set([...ready, ...apply].map(({ blueprint }) => blueprint))].toSorted();
      return {
        clusters: groupsOf(counts),
        hosts: await hostCounts(),
        ready: durations(ready),
        apply: durations(apply),
        held: summary(ended.map(({ boundMs, endedMs }) => (endedMs - boundMs) / 1000)),
        utilisation: points.map(({ used, clusters }) => (clusters === 0 ? 0 : used / clusters)),
        claims: BigInt(claims),
        refused: BigInt(refusals),
        history: points.map(({ atMs, used, free, clusters, capacity, waiting }) => ({
          ...{ time: timestampFromMs(atMs), seconds: stepMs / 1000, used, free, clusters, capacity, waitingClaims: waiting },
        })),
        blueprints: blueprints.map((blueprint) => {
          const own = (timings: readonly Timing[]) => durations(timings.filter((timing) => timing.blueprint === blueprint));
          return { blueprint, ready: own(ready), apply: own(apply) };
        }),
        waitingClaims: await figures.waitingClaims(),
      };
    },
  };
}

/** Fewer, longer pieces: at most a hundred over the window, each the average of what was measured in it. Pure. */
export function downsample(
  pieces: readonly UsagePiece[],
  spanMs: number,
  windowMs: number,
): { readonly stepMs: number; readonly points: readonly UsagePiece[] } {
  const stepMs = spanMs * Math.max(1, Math.ceil(windowMs / spanMs / pointsMax));
  const groups = Map.groupBy(pieces, ({ atMs }) => atMs - (atMs % stepMs));
  const points = [...groups].map(([atMs, group]): UsagePiece => {
    const samples = group.reduce((sum, piece) => sum + piece.samples, 0);
    const mean = (pick: (piece: UsagePiece) => number): number =>
      group.reduce((sum, piece) => sum + pick(piece) * piece.samples, 0) / samples;
    return {
      ...{
        atMs,
        samples,
        used: mean(({ used }) => used),
        free: mean(({ free }) => free),
        clusters: mean((piece) => piece.clusters),
      },
      ...{ capacity: mean(({ capacity }) => capacity), waiting: mean(({ waiting }) => waiting) },
    };
  });
  return { stepMs, points };
}

/** Used and free ones of a group together. */
function groupsOf(counts: readonly ClusterCount[]) {
  const groups = Map.groupBy(counts, ({ host, blueprint, state, health }) => JSON.stringify([host, blueprint, state, health]));
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    const sum = (isOne: (count: ClusterCount) => boolean): number =>
      group.reduce((total, one) => total + (isOne(one) ? one.count : 0), 0);
    if (!first) return [];
    const { host, blueprint, state, health } = first;
    const [used, free] = [sum(({ isUsed }) => isUsed), sum(({ isFree }) => isFree)];
    return [{ host, blueprint, state, health, count: sum(() => true), used, free }];
  });
}

const durations = (timings: readonly Timing[]) => summary(timings.map(({ durationMs }) => durationMs / 1000));

/** Unit: seconds. */
export function summary(seconds: readonly number[]) {
  const sorted = seconds.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
  return { count: BigInt(sorted.length), p50: at(0.5), p90: at(0.9), p95: at(0.95), max: sorted.at(-1) ?? 0 };
}
