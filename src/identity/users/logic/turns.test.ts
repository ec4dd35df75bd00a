import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fault } from '#kernel/fault.ts';
import { createTurns } from './turns.ts';

const never = new AbortController().signal;

test('no more run at once than may, and all come to their turn in order', async () => {
  const turns = createTurns({ atOnceMax: 2, waitingMax: 100, what: 'wait' });
  let running = 0;
  let most = 0;
  const order: number[] = [];
  await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      turns.run(async () => {
        running++;
        most = Math.max(most, running);
        order.push(index);
        await Promise.resolve();
        running--;
      }, never),
    ),
  );
  assert.equal(most, 2);
  assert.deepEqual(
    order,
    Array.from({ length: 20 }, (_, index) => index),
  );
});

test('too many waiting are refused, who gives up leaves the queue, a failure frees its turn', async () => {
  const turns = createTurns({ atOnceMax: 1, waitingMax: 1, what: 'wait' });
  const gate = Promise.withResolvers<void>();
  const first = turns.run(() => gate.promise, never);
  const leaving = new AbortController();
  const second = turns.run(async () => 'never', leaving.signal);
  await assert.rejects(
    turns.run(async () => 'third', never),
    (error) => error instanceof Fault && error.code === 'resource_exhausted' && error.retryAfterMs !== undefined,
  );
  leaving.abort(new Error('gone'));
  await assert.rejects(second, /gone/);
  const failing = turns.run(() => Promise.reject(new Error('broken')), never);
  gate.resolve();
  await first;
  await assert.rejects(failing, /broken/);
  assert.equal(await turns.run(async () => 'after', never), 'after');
});
