import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareUtf8, sortUtf8 } from './utf8-order.ts';

const text = fc.string({ unit: 'binary' });

test('the order is that of the UTF-8 bytes', () => {
  fc.assert(
    fc.property(text, text, (a, b) => assert.equal(Math.sign(compareUtf8(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)))),
  );
  fc.assert(
    fc.property(fc.array(text), (texts) => {
      assert.deepEqual(
        sortUtf8([...texts]),
        [...texts].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      );
    }),
  );
});
