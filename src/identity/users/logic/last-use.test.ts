import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '#kernel/log.ts';
import { createLastUse } from './last-use.ts';

test('uses are written together, and again when writing failed', async () => {
  const written: (readonly [string, number])[][] = [];
  let isAway = true;
  const lastUse = createLastUse(
    {
      touchCredentials: async (uses) => {
        if (isAway) throw new Error('away');
        written.push([...uses]);
      },
    },
    silentLog,
  );
  lastUse.note('a', 1);
  lastUse.note('b', 2);
  await lastUse.flush();
  assert.equal(lastUse.get('a'), 1);
  lastUse.note('a', 3);
  isAway = false;
  await lastUse.flush();
  await lastUse.flush();
  assert.deepEqual(written, [
    [
      ['a', 3],
      ['b', 2],
    ],
  ]);
  lastUse.note('c', 4);
  await lastUse.stop();
  assert.deepEqual(written[1], [['c', 4]]);
});
