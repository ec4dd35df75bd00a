import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lru } from './lru.ts';

test('an Lru stays bounded and keeps what is in use', () => {
  const lru = new Lru<number, string>(10);
  lru.set(-1, 'in use');
  for (let index = 0; index < 1000; index += 1) {
    lru.set(index, String(index));
    assert.equal(lru.get(-1), 'in use');
    assert.ok(lru.size <= 10);
  }
  assert.equal(lru.get(0), undefined);
  assert.equal(lru.get(999), '999');
});
