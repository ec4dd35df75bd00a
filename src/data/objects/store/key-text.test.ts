import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareUtf8 } from '#lib/utf8-order.ts';
import { decodeKey, encodeKey } from './key-text.ts';

const key = fc.string({ unit: fc.constantFrom('\0', '\x01', '\x02', 'a', '/', 'é', '😀'), maxLength: 8 });

test('keys come back, without NUL meanwhile, and keep their order', () => {
  fc.assert(
    fc.property(key, key, (a, b) => {
      assert.equal(decodeKey(encodeKey(a)), a);
      assert.ok(!encodeKey(a).includes('\0'));
      assert.equal(Math.sign(compareUtf8(encodeKey(a), encodeKey(b))), Math.sign(compareUtf8(a, b)));
      assert.equal(encodeKey(a).startsWith(encodeKey(b)), a.startsWith(b));
    }),
  );
});
