import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatPhc, parsePhc } from './phc.ts';

test('what was written is read back', () => {
  const bytes = fc.uint8Array({ minLength: 16, maxLength: 64 });
  const number = fc.integer({ min: 1, max: 999 });
  fc.assert(
    fc.property(fc.record({ memoryKib: number, passes: number, parallelism: number, salt: bytes, hash: bytes }), (value) => {
      const read = parsePhc(formatPhc(value));
      assert.deepEqual(read && { ...read, salt: Uint8Array.from(read.salt), hash: Uint8Array.from(read.hash) }, {
        ...value,
        salt: Uint8Array.from(value.salt),
        hash: Uint8Array.from(value.hash),
      });
    }),
  );
});

const salt = 'AAAAAAAAAAAAAAAAAAAAAA';
for (const text of [
  '',
  'password',
  `$argon2i$v=19$m=8,t=1,p=1$${salt}$${salt}`,
  `$argon2id$v=16$m=8,t=1,p=1$${salt}$${salt}`,
  `$argon2id$v=19$m=8,t=1,p=1$${salt}`,
  `$argon2id$v=19$m=8,t=1,p=1$short$${salt}`,
  `$argon2id$v=19$m=999999999,t=1,p=1$${salt}$${salt}`,
  `x$argon2id$v=19$m=8,t=1,p=1$${salt}$${salt}`,
]) {
  test(`no hash: ${text}`, () => assert.equal(parsePhc(text), undefined));
}
