import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '#kernel/log.ts';
import { until } from '#kernel/testing/engines.ts';
import type { Hints } from '../logic/hints.ts';
import { createNotifications } from './notifications.ts';

function start(t: { after(fn: () => unknown): void }, examine: (hints: Hints) => Promise<void> = async () => undefined) {
  const stopping = new AbortController();
  const seen: string[] = [];
  const floods: string[] = [];
  const state = { isPaused: false };
  const notifications = createNotifications({
    keeper: {
      examine: async (hints) => {
        await examine(hints);
        seen.push(...hints.paths);
      },
    },
    isPaused: () => state.isPaused,
    onFlood: (folder) => floods.push(folder),
    log: silentLog,
    signal: stopping.signal,
  });
  const running = notifications.run();
  t.after(async () => {
    stopping.abort();
    await running;
  });
  return { notifications, seen, floods, state };
}

test('what is named is looked at, each path once', async (t) => {
  const { notifications, seen } = start(t);
  for (const path of ['a', 'b', 'a', 'a']) notifications.changed(path, path === 'a');
  await until(() => seen.length === 2);
  assert.deepEqual([seen.toSorted(), notifications.waiting], [['a', 'b'], 0]);
});

test('a look that fails is repeated', async (t) => {
  let failures = 2;
  const { notifications, seen } = start(t, async () => {
    if (failures-- > 0) throw new Error('The index is away');
  });
  notifications.changed('a', false);
  await until(() => seen.length === 1);
});

test('more than is remembered becomes a pass over the folder all of it lies in', async (t) => {
  const { notifications, floods, state } = start(t);
  state.isPaused = true;
  for (let at = 0; at <= 50_000; at++) notifications.changed(`a/b/${at % 100}/${at}`, false);
  assert.deepEqual([floods, notifications.waiting], [['a/b'], 1]);
});

test('while paused paths wait', async (t) => {
  const { notifications, seen, state } = start(t);
  state.isPaused = true;
  notifications.changed('a', false);
  notifications.wake();
  assert.deepEqual([seen, notifications.waiting], [[], 1]);
  state.isPaused = false;
  notifications.wake();
  await until(() => seen.length === 1);
});
