import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { StoredWebhook } from '../store/webhooks.ts';
import { type Attempt, dueInMs, isTooOld, judgeAttempt, type WebhookLimits } from './judge-attempt.ts';

const limits: WebhookLimits = { retry: { firstMs: 1000, maxMs: 600_000 }, patienceMs: 86_400_000, failingMsMax: 5 * 86_400_000 };
const webhook: StoredWebhook = {
  ...{
    name: 'w',
    uid: 'u',
    url: 'https://example.org',
    description: '',
    isEnabled: true,
    secrets: [],
    generation: 1,
    version: 1,
  },
  ...{ types: [], hosts: [], blueprints: [], labels: {}, createdMs: 1, position: 3, attempts: 0, nextMs: 0, failingSinceMs: 0 },
  ...{ successMs: 0, message: '' },
};
const attempt: Attempt = { id: 'e', position: 9, type: 'T', status: 200, message: '', retryAfterMs: 0, durationMs: 4 };
const failed = { ...attempt, status: 500 };
const nowMs = 1_000_000;

test('what was heard moves the webhook on and forgets its failures', () => {
  const failing = { ...webhook, attempts: 4, failingSinceMs: 5, nextMs: 7, message: 'no' };
  for (const status of [200, 204, 299]) {
    const judged = judgeAttempt(failing, { ...attempt, status }, nowMs, limits);
    assert.deepEqual(judged.webhook, { ...webhook, position: 9, successMs: nowMs });
    assert.equal(judged.delivery.state, 'delivered');
  }
});

test('what was not heard is tried again, later each time, and as late as the receiver asks', () => {
  const judge = (attempts: number, retryAfterMs = 0) =>
    judgeAttempt({ ...webhook, attempts }, { ...failed, retryAfterMs }, nowMs, limits, () => 1).webhook;
  assert.deepEqual(
    [0, 1, 2, 20].map((attempts) => judge(attempts).nextMs - nowMs),
    [1000, 2000, 4000, 600_000],
  );
  assert.equal(judge(0, 30_000).nextMs, nowMs + 30_000);
  assert.equal(judge(0, 86_400_000).nextMs, nowMs + 600_000);
  assert.deepEqual([judge(2).position, judge(2).attempts, judge(2).message], [3, 3, 'It answered 500']);
  const silent = judgeAttempt(webhook, { ...failed, status: 0, message: 'nobody' }, nowMs, limits);
  assert.deepEqual([silent.webhook.message, silent.webhook.failingSinceMs], ['nobody', nowMs]);
});

test('a receiver that has failed for days, or wants nothing more, is told nothing more', () => {
  const since = (failingSinceMs: number, status = 500, attempts = 9) =>
    judgeAttempt({ ...webhook, failingSinceMs, attempts }, { ...failed, status }, nowMs, limits);
  assert.equal(since(nowMs - limits.failingMsMax + 1).isDisabled, false);
  assert.equal(since(nowMs - limits.failingMsMax).isDisabled, true);
  assert.equal(since(nowMs - limits.failingMsMax).webhook.isEnabled, false);
  assert.equal(since(nowMs - limits.failingMsMax, 500, 8).isDisabled, false);
  assert.equal(since(0, 410, 0).isDisabled, true);
});

test('an event is given up only while its receiver fails', () => {
  const failing = { ...webhook, attempts: 10 };
  assert.equal(isTooOld(failing, 0, limits.patienceMs + 1, limits), true);
  assert.equal(isTooOld(failing, 0, limits.patienceMs, limits), false);
  assert.equal(isTooOld({ ...webhook, attempts: 9 }, 0, limits.patienceMs + 1, limits), false);
  assert.equal(isTooOld(webhook, 0, limits.patienceMs * 9, limits), false);
});

test('no pause is longer than the longest, wherever the clock jumps', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), (nextMs, now) => {
      const waitMs = dueInMs({ ...webhook, nextMs }, now, limits);
      assert.ok(waitMs >= 0 && waitMs <= limits.retry.maxMs);
      if (nextMs <= now) assert.equal(waitMs, 0);
    }),
  );
});
