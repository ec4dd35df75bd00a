import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasScope } from '#kernel/calls/caller.ts';
import { Fault } from '#kernel/fault.ts';
import { assertWithin, coversScope, dataScopes } from './scopes.ts';

const cases: readonly [readonly string[], string, boolean][] = [
  [['*'], '*', true],
  [['*'], 'data:read', true],
  [['data:*'], '*', false],
  [['data:*'], 'data:*', true],
  [['data:*'], 'data:write', true],
  [['data:write'], 'data:*', false],
  [['data:write'], 'data:read', true],
  [['data:read'], 'data:write', false],
  [['data:*'], 'identity:read', false],
  [[], 'data:read', false],
  [['data:read', 'data:write'], 'data:*', false],
];

for (const [held, wanted, isCovered] of cases) {
  test(`[${held.join(' ')}] ${isCovered ? 'covers' : 'does not cover'} ${wanted}`, () => {
    assert.equal(coversScope(held, wanted), isCovered);
  });
}

test('a token within another’s scopes opens nothing the other does not', () => {
  const area = fc.constantFrom('data', 'identity');
  const scope = fc.oneof(
    fc.constant('*'),
    fc.tuple(area, fc.constantFrom('read', 'write', '*')).map((parts) => parts.join(':')),
  );
  const asked = fc.tuple(area, fc.constantFrom('read', 'write')).map((parts) => parts.join(':'));
  fc.assert(
    fc.property(fc.array(scope), fc.array(scope), asked, (held, given, wanted) => {
      if (given.every((one) => coversScope(held, one)) && hasScope(given, wanted)) assert.ok(hasScope(held, wanted));
    }),
  );
});

test('a key gets the widest data scope there is', () => {
  assert.deepEqual(dataScopes(['*']), ['data:*']);
  assert.deepEqual(dataScopes(['data:write', 'identity:*']), ['data:write']);
  assert.deepEqual(dataScopes(['data:read']), ['data:read']);
  const isDenied = (error: unknown): boolean => error instanceof Fault && error.code === 'permission_denied';
  assert.throws(() => dataScopes(['identity:*']), isDenied);
  assert.throws(() => assertWithin(['data:read'], ['data:read', 'data:write']), isDenied);
});
