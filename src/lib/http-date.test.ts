import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatHttpDate, parseHttpDate } from './http-date.ts';

test('dates of headers', () => {
  assert.equal(parseHttpDate('Sun, 06 Nov 1994 08:49:37 GMT'), 784_111_777_000);
  assert.equal(parseHttpDate('1994-11-06T08:49:37.000Z'), 784_111_777_000);
  assert.equal(formatHttpDate(784_111_777_000), 'Sun, 06 Nov 1994 08:49:37 GMT');
  for (const text of [undefined, '', 'yesterday', '1994', '784111777', 'Sun, 99 Foo 1994 08:49:37 GMT'])
    assert.equal(parseHttpDate(text), undefined);
});
