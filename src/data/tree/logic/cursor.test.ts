import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCursor, writeCursor } from './cursor.ts';

test('a cursor says the same when it comes back', () => {
  for (const positions of [{}, { docs: 0 }, { docs: 12, photos: 9_007_199_254_740_991 }])
    assert.deepEqual(readCursor(writeCursor(positions)), positions);
  assert.deepEqual(readCursor(''), {});
});

for (const text of ['x', '{}', writeCursor({ a: -1 }), writeCursor({ a: 0.5 }), Buffer.from('[1]').toString('base64url')]) {
  test(`no cursor: ${text}`, () => {
    assert.throws(() => readCursor(text), { reason: 'invalid_cursor' });
  });
}
