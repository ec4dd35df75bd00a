import {
  Engine,
  type Statistics,
  type Statistics_Count,
  type Statistics_Durations,
  StatisticsSchema,
} from '#gen/cellar/fleet/v1/engine_pb.ts';
import type { CliContext } from '../command.ts';
import { parseSeconds } from '../duration.ts';
import { formatCount, formatDuration } from '../output/format.ts';
import { formatFields, formatTable } from '../output/table.ts';
import { client, show } from './support.ts';

const bars = [...'▁▂▃▄▅▆▇█'];
/** Columns of a drawing. */
const drawnMax = 60;

export async function showStatistics(context: CliContext, options: { readonly window: string }): Promise<void> {
  const engine = await client(context, Engine);
  const statistics = await engine.getStatistics({ windowSeconds: parseSeconds(options.window) }, { signal: context.signal });
  show(context, StatisticsSchema, statistics, () => describe(statistics, context));
}

function describe(statistics: Statistics, { output: { style } }: CliContext): string {
  const { clusters, hosts, ready, apply, held, blueprints, history, waitingClaims } = statistics;
  const sum = (pick: (count: Statistics_Count) => number): number => clusters.reduce((total, count) => total + pick(count), 0);
  const total = sum(({ count }) => count);
  const hostStates = Object.entries(Object.groupBy(hosts, ({ state }) => state)).map(
    ([state, some = []]) => `${some.length} ${state}`,
  );
  const fields = formatFields(
    {
      hosts: hostStates.join(', ') || 'none',
      clusters: `${total}: ${sum(({ used }) => used)} used, ${sum(({ free }) => free)} free`,
      waiting: `${waitingClaims} claims`,
      ...(history.length > 0
        ? { 'use over time': drawing(history.map(({ used, clusters: all }) => (all === 0 ? 0 : used / all))) }
        : {}),
    },
    style,
  );
  const times = [
    { what: 'ready', times: ready },
    ...blueprints.map((one) => ({ what: `ready, ${one.blueprint}`, times: one.ready })),
    { what: 'apply', times: apply },
    { what: 'held', times: held },
  ].filter(({ times: some }) => (some?.count ?? 0n) > 0n);
  const took = (pick: (durations: Statistics_Durations) => number) => (row: (typeof times)[number]) =>
    row.times ? formatDuration(pick(row.times) * 1000) : '';
  const tables = [
    formatTable(
      clusters,
      [
        { title: 'host', value: ({ host }) => host },
        { title: 'blueprint', value: ({ blueprint }) => blueprint },
        { title: 'state', value: ({ state }) => state },
        { title: 'health', value: ({ health }) => health },
        { title: 'clusters', isNumber: true, value: ({ count }) => formatCount(count) },
        { title: 'used', isNumber: true, value: ({ used }) => formatCount(used) },
        { title: 'free', isNumber: true, value: ({ free }) => formatCount(free) },
      ],
      style,
    ),
    formatTable(
      times,
      [
        { title: 'time to', value: ({ what }) => what },
        { title: 'count', isNumber: true, value: ({ times: some }) => formatCount(some?.count ?? 0n) },
        { title: 'p50', isNumber: true, value: took(({ p50 }) => p50) },
        { title: 'p90', isNumber: true, value: took(({ p90 }) => p90) },
        { title: 'p95', isNumber: true, value: took(({ p95 }) => p95) },
        { title: 'max', isNumber: true, value: took(({ max }) => max) },
      ],
      style,
    ),
  ];
  return [fields, ...tables].filter((part) => part !== '').join('\n\n');
}

/** Shares from 0 to 1 as bars, the newest last. */
function drawing(shares: readonly number[]): string {
  const step = Math.ceil(shares.length / drawnMax);
  const drawn = Array.from({ length: Math.ceil(shares.length / step) }, (_, at) => {
    const some = shares.slice(at * step, (at + 1) * step);
    const mean = some.reduce((total, share) => total + share, 0) / some.length;
    return bars[Math.round(Math.min(1, mean) * (bars.length - 1))] ?? '';
  });
  return `${drawn.join('')} ${Math.round((shares.at(-1) ?? 0) * 100)} % now`;
}
