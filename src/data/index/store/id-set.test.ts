import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IdSet } from './id-set.ts';

test('an id is new once, wherever it is', () => {
  const ids = new IdSet();
  const some = [0, 1, 7, 8, 9, (1 << 20) - 1, 1 << 20, 2 ** 50, -3];
  assert.deepEqual(
    some.map((id) => ids.add(id)),
    some.map(() => true),
  );
  assert.deepEqual(
    some.map((id) => ids.add(id)),
    some.map(() => false),
  );
  assert.equal(ids.add(2), true);
});
