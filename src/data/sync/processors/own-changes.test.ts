import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOwnChanges } from './own-changes.ts';

const never = new AbortController().signal;

test('notifications wait until what storage did before them was taken in, and for nothing after it', async () => {
  let last = 5;
  const own = createOwnChanges({ head: async () => last, patienceMs: 60_000, signal: never });
  own.reached(3);
  let isTold = false;
  const told = own.whenTold().then(() => {
    isTold = true;
  });
  for (const position of [4, 4]) {
    await new Promise((done) => setImmediate(done));
    own.reached(position);
  }
  last = 100;
  await new Promise((done) => setImmediate(done));
  assert.ok(!isTold);
  own.reached(5);
  await told;
});

test('nobody waits for good: not when it cannot be asked, not when nothing is taken in, not at the stop', async () => {
  const away = createOwnChanges({ head: () => Promise.reject(new Error('away')), patienceMs: 60_000, signal: never });
  await away.whenTold();
  await createOwnChanges({ head: async () => 7, patienceMs: 10, signal: never }).whenTold();
  const stopping = new AbortController();
  const waiting = createOwnChanges({ head: async () => 7, patienceMs: 60_000, signal: stopping.signal }).whenTold();
  stopping.abort();
  await waiting;
});
