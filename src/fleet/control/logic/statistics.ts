import type { MessageInitShape } from '@bufbuild/protobuf';
import type { StatisticsSchema } from '#gen/cellar/fleet/v1/engine_pb.ts';
import type { Metrics } from '#kernel/services/service.ts';
import type { FleetStore } from '../store/store.ts';

/** Counts by state, host and blueprint, and how long things took. */
export interface Statistics {
  /** A request for a cluster was answered with one. Unit: milliseconds. */
  applied(durationMs: number): void;
  refused(): void;
  /** A cluster was ready so long after it was asked for. Unit: milliseconds. */
  ready(durationMs: number): void;
  /** To be called regularly: keeps what `utilisation` is drawn from. */
  sample(): Promise<void>;
  /** `windowSeconds` 0: a day. */
  read(windowSeconds: number): Promise<MessageInitShape<typeof StatisticsSchema>>;
}

const daySeconds = 86_400;
/** Of each kind the newest are kept. */
const samplesMax = 10_000;
const buckets = [0.001, 0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300];
const pageSize = 500;
/** Points of a drawing over the window. */
const pointsMax = 100;

interface Sample {
  readonly atMs: number;
  readonly value: number;
}

export function createStatistics(
  store: FleetStore,
  metrics: Pick<Metrics, 'counter' | 'histogram' | 'gauge'>,
  now: () => number,
): Statistics {
  const applies: Sample[] = [];
  const readies: Sample[] = [];
  const uses: Sample[] = [];
  let claims = 0;
  let refusals = 0;
  const counts = { free: 0, used: 0, sick: 0 };
  const applySeconds = metrics.histogram('cellar_fleet_apply_seconds', 'Time to answer a request for a cluster.', buckets);
  const readySeconds = metrics.histogram(
    'cellar_fleet_ready_seconds',
    'Time from the wish for a cluster to its being ready.',
    buckets,
  );
  const refusedTotal = metrics.counter('cellar_fleet_refused_total', 'Requests for a cluster that got none.');
  for (const state of ['free', 'used', 'sick'] as const)
    metrics.gauge('cellar_fleet_clusters', 'Clusters by what they are.', () => counts[state], { state });
  const keep = (samples: Sample[], value: number): void => {
    samples.push({ atMs: now(), value });
    if (samples.length > samplesMax) samples.splice(0, samples.length - samplesMax);
  };

  async function* everyCluster() {
    for (let after = ''; ; ) {
      const page = await store.clusters({}, after, pageSize);
      yield* page;
      if (page.length < pageSize) return;
      after = page.at(-1)?.name ?? '';
    }
  }

  return {
    applied(durationMs) {
      claims += 1;
      keep(applies, durationMs / 1000);
      applySeconds.observe(durationMs / 1000);
    },
    refused() {
      refusals += 1;
      refusedTotal.add();
    },
    ready(durationMs) {
      keep(readies, durationMs / 1000);
      readySeconds.observe(durationMs / 1000);
    },
    async sample() {
      const found = { free: 0, used: 0, sick: 0 };
      for await (const { claim, state, health } of everyCluster()) {
        if (claim !== '') found.used += 1;
        else if (state === 'ready' && health === 'ok') found.free += 1;
        if (state === 'failed' || health === 'failed') found.sick += 1;
      }
      Object.assign(counts, found);
      const total = found.free + found.used;
      keep(uses, total === 0 ? 0 : found.used / total);
    },
    async read(windowSeconds) {
      const sinceMs = now() - (windowSeconds || daySeconds) * 1000;
      const groups = new Map<string, { host: string; blueprint: string; state: string; health: string; count: number }>();
      for await (const { host, blueprint, state, health } of everyCluster()) {
        const key = JSON.stringify([host, blueprint, state, health]);
        const known = groups.get(key) ?? { host, blueprint, state, health, count: 0 };
        groups.set(key, { ...known, count: known.count + 1 });
      }
      const hosts = await store.hosts('', pageSize);
      const held = await store.claims({ withEnded: true }, undefined, pageSize);
      const ended = held.filter(({ boundMs, endedMs }) => boundMs > 0 && endedMs >= sinceMs);
      const within = (samples: readonly Sample[]): number[] =>
        samples.filter(({ atMs }) => atMs >= sinceMs).map(({ value }) => value);
      return {
        clusters: [...groups.values()],
        hosts: hosts.map(({ name, state }) => ({ host: name, state, count: 1 })),
        apply: durations(within(applies)),
        ready: durations(within(readies)),
        held: durations(ended.map(({ boundMs, endedMs }) => (endedMs - boundMs) / 1000)),
        utilisation: thinned(within(uses)),
        claims: BigInt(claims),
        refused: BigInt(refusals),
      };
    },
  };
}

function durations(seconds: readonly number[]) {
  const sorted = seconds.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { count: BigInt(sorted.length), p50: at(0.5), p95: at(0.95), max: sorted.at(-1) ?? 0 };
}

function thinned(values: readonly number[]): number[] {
  const step = Math.max(1, Math.ceil(values.length / pointsMax));
  return values.filter((_, index) => index % step === 0);
}
