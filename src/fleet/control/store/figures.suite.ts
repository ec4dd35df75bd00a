import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { migrate } from '#kernel/database/migrations.ts';
import type { DatabaseFactory } from '#kernel/testing/databases.ts';
import { createFigureStore } from './figure-rows.ts';
import type { FigureStore, Timing } from './figures.ts';
import { migrations } from './migrations.ts';

const [minuteMs, hourMs, dayMs] = [60_000, 3_600_000, 86_400_000];
const usage = (used: number) => ({ used, free: 1, clusters: 10, capacity: 20, waiting: 2 });

/** What holds for figures on every engine. */
export function figureStoreSuite(factory: DatabaseFactory, skip: string | false = false): void {
  describe(`figures over time on ${factory.engine}`, { skip }, () => {
    const open = async (t: TestContext): Promise<{ figures: FigureStore; rows: () => Promise<number> }> => {
      const database = await factory.open(t);
      await migrate(database, migrations);
      const rows = async () =>
        (await database.get<{ count: number }>('select count(*) as count from usage_over_time'))?.count ?? 0;
      return { figures: createFigureStore(database), rows };
    };

    test('what is measured in one piece of time becomes its average', async (t) => {
      const { figures } = await open(t);
      const startMs = 100 * dayMs;
      for (const [at, used] of [3, 5, 4].entries()) await figures.addUsage(usage(used), startMs + at * 1000);
      await figures.addUsage(usage(9), startMs + minuteMs);
      const { spanMs, pieces } = await figures.usage(startMs, startMs + hourMs);
      assert.equal(spanMs, minuteMs);
      assert.deepEqual(pieces, [
        { ...usage(4), atMs: startMs, samples: 3 },
        { ...usage(9), atMs: startMs + minuteMs, samples: 1 },
      ]);
      assert.equal((await figures.usage(startMs - 7 * dayMs, startMs)).spanMs, 15 * minuteMs);
      const coarse = await figures.usage(startMs - 60 * dayMs, startMs);
      assert.deepEqual([coarse.spanMs, coarse.pieces[0]?.samples], [2 * hourMs, 4]);
    });

    test('history is bounded, however long it is measured', async (t) => {
      const { figures, rows } = await open(t);
      for (let day = 0; day < 200; day++) await figures.addUsage(usage(1), day * dayMs);
      assert.ok((await rows()) <= 2 + 15 + 94);
    });

    test('durations are found by kind and time, the newest first', async (t) => {
      const { figures } = await open(t);
      const timing = (kind: Timing['kind'], atMs: number, durationMs: number): Timing => ({
        kind,
        blueprint: 'b',
        atMs,
        durationMs,
      });
      await figures.addTimings([timing('apply', 10, 0.25), timing('ready', 20, 5), timing('apply', 30, 1.5)]);
      assert.deepEqual(await figures.timings('apply', 10, 10), [timing('apply', 30, 1.5), timing('apply', 10, 0.25)]);
      assert.deepEqual(await figures.timings('apply', 11, 10), [timing('apply', 30, 1.5)]);
      assert.equal((await figures.timings('apply', 0, 1)).length, 1);
    });

    test('nothing is there yet', async (t) => {
      const { figures } = await open(t);
      assert.deepEqual([await figures.clusterCounts(), await figures.waitingClaims()], [[], 0]);
      assert.deepEqual((await figures.usage(0, 1)).pieces, []);
    });
  });
}
