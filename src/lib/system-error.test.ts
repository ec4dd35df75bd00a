import assert from 'node:assert/strict';
import { lstatSync } from 'node:fs';
import { test } from 'node:test';
import { isSystemError } from './system-error.ts';

test('a system error is known by its code', () => {
  assert.throws(
    () => lstatSync(`${import.meta.dirname}/nothing`),
    (error) => isSystemError(error, 'EACCES', 'ENOENT') && !isSystemError(error, 'EACCES') && !isSystemError(error),
  );
});

for (const error of [undefined, 'ENOENT', { code: 'ENOENT' }, new Error('ENOENT')])
  test(`${String(error)} is no system error`, () => {
    assert.equal(isSystemError(error, 'ENOENT'), false);
  });
