import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createWorkQueue } from './work-queue.ts';

test('a key is worked on once at a time, and again when it was added meanwhile', async () => {
  const stop = new AbortController();
  const log: string[] = [];
  const gate = Promise.withResolvers<void>();
  const queue = createWorkQueue({
    concurrency: 4,
    work: async (key) => {
      log.push(`${key} begins`);
      if (log.length === 1) await gate.promise;
      log.push(`${key} ends`);
      if (log.length === 4) stop.abort();
    },
  });
  const running = queue.run(stop.signal);
  queue.add('a');
  queue.add('a');
  queue.add('a', 5);
  assert.equal(queue.running, 1);
  gate.resolve();
  await running;
  assert.deepEqual(log, ['a begins', 'a ends', 'a begins', 'a ends']);
});

test('limits hold in all and for each group', async () => {
  const stop = new AbortController();
  const now = new Map<string, number>();
  let most = 0;
  let mostOfA = 0;
  let left = 30;
  const queue = createWorkQueue({
    concurrency: 3,
    groupConcurrency: 2,
    group: (key) => key.charAt(0),
    work: async (key) => {
      now.set(key.charAt(0), (now.get(key.charAt(0)) ?? 0) + 1);
      most = Math.max(most, (now.get('a') ?? 0) + (now.get('b') ?? 0));
      mostOfA = Math.max(mostOfA, now.get('a') ?? 0);
      await new Promise((resolve) => setImmediate(resolve));
      now.set(key.charAt(0), (now.get(key.charAt(0)) ?? 0) - 1);
      left -= 1;
      if (left === 0) stop.abort();
    },
  });
  for (let at = 0; at < 20; at++) queue.add(`a${at}`);
  for (let at = 0; at < 10; at++) queue.add(`b${at}`);
  await queue.run(stop.signal);
  assert.equal(most, 3);
  assert.equal(mostOfA, 2);
});

test('of several times the earliest counts, and what was dropped does not come', async () => {
  const stop = new AbortController();
  const worked: string[] = [];
  const queue = createWorkQueue({
    concurrency: 1,
    work: async (key) => {
      worked.push(key);
      if (key === 'last') stop.abort();
    },
  });
  queue.add('later', 60_000);
  queue.add('later');
  queue.add('dropped');
  queue.drop('dropped');
  queue.add('last', 5);
  await queue.run(stop.signal);
  assert.deepEqual(worked, ['later', 'last']);
  assert.equal(queue.waiting, 0);
});
