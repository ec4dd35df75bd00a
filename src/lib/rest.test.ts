import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { rest } from './rest.ts';

test('a rest ends early with its signal, and at once after it', async () => {
  const controller = new AbortController();
  const resting = rest(60_000, controller.signal);
  controller.abort();
  await resting;
  await rest(60_000, controller.signal);
});

test('a rest that is over leaves nothing at its signal', async () => {
  const { signal } = new AbortController();
  await rest(1, signal);
  assert.deepEqual(getEventListeners(signal, 'abort'), []);
});
