import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBell } from './bell.ts';

const never = new AbortController().signal;

test('a ring wakes whoever waits, is kept for the next wait, and several count as one', async () => {
  const bell = createBell();
  const waiting = bell.wait(60_000, never);
  bell.ring();
  await waiting;
  bell.ring();
  bell.ring();
  await bell.wait(60_000, never);
  const startedAt = performance.now();
  await bell.wait(10, never);
  assert.ok(performance.now() - startedAt >= 5);
});

test('a wait ends with its signal', async () => {
  const controller = new AbortController();
  const waiting = createBell().wait(60_000, controller.signal);
  controller.abort();
  await waiting;
});
