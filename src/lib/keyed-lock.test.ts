import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKeyedLock } from './keyed-lock.ts';

test('tasks of one key take turns, also after a failure; other keys do not wait', async () => {
  const lock = createKeyedLock();
  const seen: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = lock.run('a', async () => {
    await gate.promise;
    seen.push('first');
    throw new Error('first fails');
  });
  const second = lock.run('a', async () => seen.push('second'));
  await lock.run('b', async () => seen.push('other'));
  gate.resolve();
  await assert.rejects(first, /first fails/);
  await second;
  assert.deepEqual(seen, ['other', 'first', 'second']);
});
