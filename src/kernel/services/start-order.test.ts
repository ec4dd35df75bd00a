import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startOrder } from './start-order.ts';

const order = (needs: Readonly<Record<string, readonly string[]>>): string[] =>
  startOrder(
    Object.keys(needs),
    (name) => name,
    (name) => needs[name] ?? [],
  );

test('a service comes after those it needs', () => {
  assert.deepEqual(order({ web: ['tree', 'users'], tree: ['index'], index: [], users: [] }), ['index', 'tree', 'users', 'web']);
});

test('a need that runs elsewhere is taken as met', () => {
  assert.deepEqual(order({ tree: ['index'] }), ['tree']);
});

test('a circle is named', () => {
  assert.throws(() => order({ a: ['b'], b: ['c'], c: ['a'] }), /a -> b -> c -> a/);
});
