import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LifecycleRule } from '#s3/bucket-settings.ts';
import { realDayMs as day } from '#s3/lifecycle-expiration.ts';
import { asksForTags, type LifecycleVersion, lifecyclePrefixes, planLifecycle, planUpload } from './lifecycle-plan.ts';

const rule = (more: Partial<LifecycleRule>): LifecycleRule => ({ id: 'r', isEnabled: true, filter: {}, ...more });
/** Written at noon of a day, so that turns of days matter. */
const version = (versionId: string, writtenDay: number, more: Partial<LifecycleVersion> = {}): LifecycleVersion => ({
  versionId,
  isDeleteMarker: false,
  mtimeMs: writtenDay * day + day / 2,
  sizeBytes: 10,
  ...more,
});
const marker = (versionId: string, writtenDay: number) => version(versionId, writtenDay, { isDeleteMarker: true, sizeBytes: 0 });

for (const [what, rules, versions, nowMs, expected] of [
  ['days have not passed', [rule({ expireAfterDays: 2 })], [version('a', 1)], 3.9 * day, []],
  ['days have passed, but no turn of a day', [rule({ expireAfterDays: 2 })], [version('a', 1)], 3.6 * day, []],
  ['days have passed', [rule({ expireAfterDays: 2 })], [version('a', 1)], 4 * day, ['expire a']],
  ['a rule that is off', [rule({ expireAfterDays: 2, isEnabled: false })], [version('a', 1)], 9 * day, []],
  ['a date to come', [rule({ expireAtMs: 5 * day })], [version('a', 1)], 5 * day - 1, []],
  ['a date that passed', [rule({ expireAtMs: 5 * day })], [version('a', 4)], 5 * day, ['expire a']],
  ['another prefix', [rule({ expireAfterDays: 1, filter: { prefix: 'log/' } })], [version('a', 1)], 9 * day, []],
  ['the prefix', [rule({ expireAfterDays: 1, filter: { prefix: 'k' } })], [version('a', 1)], 9 * day, ['expire a']],
  [
    'other tags',
    [rule({ expireAfterDays: 1, filter: { tags: { a: 'b' } } })],
    [version('a', 1, { tags: { a: 'c' } })],
    9 * day,
    [],
  ],
  ['no tags', [rule({ expireAfterDays: 1, filter: { tags: { a: 'b' } } })], [version('a', 1)], 9 * day, []],
  [
    'the tags and more',
    [rule({ expireAfterDays: 1, filter: { tags: { a: 'b' } } })],
    [version('a', 1, { tags: { a: 'b', c: 'd' } })],
    9 * day,
    ['expire a'],
  ],
  ['a size at the bound', [rule({ expireAfterDays: 1, filter: { sizeBytesAbove: 10 } })], [version('a', 1)], 9 * day, []],
  ['a size above', [rule({ expireAfterDays: 1, filter: { sizeBytesAbove: 9 } })], [version('a', 1)], 9 * day, ['expire a']],
  ['a size at the upper bound', [rule({ expireAfterDays: 1, filter: { sizeBytesBelow: 10 } })], [version('a', 1)], 9 * day, []],
  ['a size below', [rule({ expireAfterDays: 1, filter: { sizeBytesBelow: 11 } })], [version('a', 1)], 9 * day, ['expire a']],
  ['a legal hold', [rule({ expireAfterDays: 1 })], [version('a', 1, { hasLegalHold: true })], 9 * day, []],
  [
    'a retention',
    [rule({ expireAfterDays: 1 })],
    [version('a', 1, { retention: { mode: 'GOVERNANCE', untilMs: 9 * day + 1 } })],
    9 * day,
    [],
  ],
  ['a delete marker with versions', [rule({ expiresDeleteMarkers: true })], [marker('m', 1), version('a', 1)], 9 * day, []],
  ['a delete marker alone', [rule({ expiresDeleteMarkers: true })], [marker('m', 8)], 9 * day, ['delete m']],
  ['a young delete marker alone, by days', [rule({ expireAfterDays: 5 })], [marker('m', 8)], 9 * day, []],
  ['an old delete marker alone, by days', [rule({ expireAfterDays: 5 })], [marker('m', 1)], 9 * day, ['delete m']],
  ['a delete marker, by a date', [rule({ expireAtMs: day })], [marker('m', 1)], 9 * day, []],
  [
    'noncurrent since the next was written',
    [rule({ noncurrentExpireAfterDays: 3 })],
    [version('c', 6), version('b', 5), version('a', 1)],
    9 * day,
    ['delete a'],
  ],
  [
    'noncurrent behind a delete marker',
    [rule({ noncurrentExpireAfterDays: 1 })],
    [marker('m', 2), version('a', 1)],
    9 * day,
    ['delete a'],
  ],
  [
    'the newest noncurrent ones are kept',
    [rule({ noncurrentExpireAfterDays: 1, noncurrentVersionsKept: 2 })],
    [version('e', 5), version('d', 4), version('c', 3), version('b', 2), version('a', 1)],
    90 * day,
    ['delete b', 'delete a'],
  ],
  [
    'a locked noncurrent one',
    [rule({ noncurrentExpireAfterDays: 1 })],
    [version('b', 2), version('a', 1, { hasLegalHold: true })],
    90 * day,
    [],
  ],
  [
    'two rules want the same',
    [rule({ expireAfterDays: 1 }), rule({ id: 's', expireAfterDays: 1, noncurrentExpireAfterDays: 1 })],
    [version('b', 2), version('a', 1)],
    90 * day,
    ['expire b', 'delete a'],
  ],
  ['no versions', [rule({ expireAfterDays: 1 })], [], 90 * day, []],
] as const satisfies readonly (readonly [string, LifecycleRule[], LifecycleVersion[], number, string[]])[])
  test(`lifecycle: ${what}`, () => {
    const actions = planLifecycle(rules, 'key', versions, nowMs);
    assert.deepEqual(
      actions.map(({ kind, versionId }) => `${kind} ${versionId}`),
      expected,
    );
  });

test('a day may be short', () => {
  const [action] = planLifecycle([rule({ expireAfterDays: 1 })], 'key', [version('a', 0, { mtimeMs: 5 })], 20, 10);
  assert.deepEqual(action, { kind: 'expire', versionId: 'a', ruleId: 'r' });
  assert.deepEqual(planLifecycle([rule({ expireAfterDays: 1 })], 'key', [version('a', 0, { mtimeMs: 5 })], 19, 10), []);
});

test('uploads are given up', () => {
  const rules = [rule({ id: 'x', abortUploadsAfterDays: 2, filter: { prefix: 'a/' } })];
  const at = (key: string, nowMs: number) => planUpload(rules, { key, initiatedMs: 1.5 * day }, nowMs)?.id;
  assert.deepEqual([at('a/k', 3.9 * day), at('a/k', 4 * day), at('b', 9 * day)], [undefined, 'x', undefined]);
});

test('what has to be walked', () => {
  const prefixes = (...texts: string[]) => lifecyclePrefixes(texts.map((prefix) => rule({ filter: { prefix } })));
  assert.deepEqual(prefixes('b/', 'a/', 'a/b/', 'b'), ['a/', 'b']);
  assert.deepEqual(lifecyclePrefixes([rule({}), rule({ filter: { prefix: 'a' } })]), ['']);
  assert.deepEqual(lifecyclePrefixes([rule({ isEnabled: false })]), []);
  assert.deepEqual([asksForTags([rule({})]), asksForTags([rule({ filter: { tags: { a: '' } } })])], [false, true]);
});
