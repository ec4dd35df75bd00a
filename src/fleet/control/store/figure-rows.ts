import type { Database } from '#kernel/database/database.ts';
import type { ClusterCount } from '../logic/count-fleet.ts';
import type { FigureStore, Timing, UsagePiece } from './figures.ts';

const [minuteMs, hourMs, dayMs] = [60_000, 3_600_000, 86_400_000];
/** The finer the pieces, the shorter they are kept: some four thousand rows in all. */
const spans = [
  { spanMs: minuteMs, keptMs: dayMs },
  { spanMs: 15 * minuteMs, keptMs: 14 * dayMs },
  { spanMs: 2 * hourMs, keptMs: 93 * dayMs },
] as const;
const coarsest = spans[2];
/** Of each kind. */
const timingsMax = 20_000;

/** The store on a database with the tables of `migrations`. */
export function createFigureStore(database: Database): FigureStore {
  return {
    clusterCounts: async () =>
      (
        await database.all<Omit<ClusterCount, 'isUsed' | 'isFree'> & { used: number; free: number }>(
          `select host, blueprint, state, health, case when claim > '' then 1 else 0 end as used, is_free as free, count(*) as count
           from clusters group by 1, 2, 3, 4, 5, 6 order by 1, 2, 3, 4, 5, 6`,
        )
      ).map(({ used, free, ...rest }) => ({ ...rest, isUsed: used === 1, isFree: free === 1 })),
    waitingClaims: async () =>
      (await database.get<{ count: number }>("select count(*) as count from claims where state = 'waiting'"))?.count ?? 0,
    async addUsage({ used, free, clusters, capacity, waiting }, atMs) {
      await database.transaction(async (tx) => {
        for (const { spanMs, keptMs } of spans) {
          await tx.run(
            `insert into usage_over_time (span_ms, at_ms, samples, used, free, clusters, capacity, waiting)
             values ($1, $2, 1, $3, $4, $5, $6, $7)
             on conflict (span_ms, at_ms) do update set samples = usage_over_time.samples + 1,
               used = usage_over_time.used + excluded.used, free = usage_over_time.free + excluded.free,
               clusters = usage_over_time.clusters + excluded.clusters, capacity = usage_over_time.capacity + excluded.capacity,
               waiting = usage_over_time.waiting + excluded.waiting`,
            ...[spanMs, atMs - (atMs % spanMs), used, free, clusters, capacity, waiting],
          );
          await tx.run('delete from usage_over_time where span_ms = $1 and at_ms < $2', spanMs, atMs - keptMs);
        }
      });
    },
    async usage(sinceMs, nowMs) {
      const { spanMs } = spans.find(({ keptMs }) => nowMs - sinceMs <= keptMs) ?? coarsest;
      const rows = await database.all<UsagePiece>(
        `select at_ms as "atMs", samples, used, free, clusters, capacity, waiting from usage_over_time
         where span_ms = $1 and at_ms >= $2 order by at_ms`,
        ...[spanMs, sinceMs - (sinceMs % spanMs)],
      );
      const pieces = rows.map(({ atMs, samples, used, free, clusters, capacity, waiting }) => ({
        ...{ atMs, samples, used: used / samples, free: free / samples, clusters: clusters / samples },
        ...{ capacity: capacity / samples, waiting: waiting / samples },
      }));
      return { spanMs, pieces };
    },
    async addTimings(timings) {
      await database.transaction(async (tx) => {
        for (const { kind, blueprint, atMs, durationMs } of timings) {
          await tx.run(
            'insert into timings (kind, blueprint, at_ms, duration_us) values ($1, $2, $3, $4)',
            ...[kind, blueprint, atMs, Math.round(durationMs * 1000)],
          );
        }
        for (const kind of new Set(timings.map((timing) => timing.kind))) {
          await tx.run(
            `delete from timings where kind = $1 and number < (
               select number from timings where kind = $1 order by number desc limit 1 offset $2
             )`,
            ...[kind, timingsMax - 1],
          );
        }
      });
    },
    async timings(kind, sinceMs, limit) {
      const rows = await database.all<Omit<Timing, 'durationMs'> & { us: number }>(
        `select kind, blueprint, at_ms as "atMs", duration_us as us from timings
         where kind = $1 and at_ms >= $2 order by at_ms desc limit $3`,
        ...[kind, sinceMs, limit],
      );
      return rows.map(({ us, ...rest }) => ({ ...rest, durationMs: us / 1000 }));
    },
  };
}
