import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchesAny } from './matches-any.ts';

for (const [patterns, service, expected] of [
  [[], 'cellar.rest.tree', true],
  [['cellar.rest.tree'], 'cellar.rest.tree', true],
  [['cellar.rest.tree'], 'cellar.rest.trees', false],
  [['cellar.grpc.data.index'], 'cellar.grpc.data.index.docs', true],
  [['cellar.grpc.data.*'], 'cellar.grpc.data.index.docs', true],
  [['cellar.grpc.data.*'], 'cellar.grpc.datasources', false],
  [['*'], 'cellar.rest.tree', true],
  [['cellar.grpc.users', 'cellar.rest.*'], 'cellar.rest.tree', true],
] as const)
  test(`${JSON.stringify(patterns)} ${expected ? 'names' : 'does not name'} ${service}`, () => {
    assert.equal(matchesAny(patterns, service), expected);
  });
