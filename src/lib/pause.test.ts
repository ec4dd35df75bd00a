import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pause } from './pause.ts';

test('a pause is cut off by its signal', async () => {
  const controller = new AbortController();
  const paused = pause(60_000, controller.signal);
  controller.abort();
  await assert.rejects(paused, { name: 'AbortError' });
});

test('a pause ends by itself', async () => {
  await pause(1);
});
