import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LifecycleRule } from './bucket-settings.ts';
import { realDayMs as day, expirationOf } from './lifecycle-expiration.ts';

const rule = (more: Partial<LifecycleRule>): LifecycleRule => ({ id: 'r', isEnabled: true, filter: {}, ...more });

test('when an object will expire', () => {
  const rules = [
    rule({ id: 'late', expireAfterDays: 9 }),
    rule({ id: 'soon', expireAfterDays: 3, filter: { prefix: 'a/' } }),
    rule({ id: 'off', expireAfterDays: 1, isEnabled: false }),
    rule({ id: 'other', noncurrentExpireAfterDays: 1 }),
  ];
  const object = { mtimeMs: 1.5 * day, sizeBytes: 1 };
  assert.deepEqual(expirationOf(rules, 'a/k', object), { atMs: 5 * day, ruleId: 'soon' });
  assert.deepEqual(expirationOf(rules, 'b', object), { atMs: 11 * day, ruleId: 'late' });
  assert.equal(expirationOf([], 'b', object), undefined);
});
