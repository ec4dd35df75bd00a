import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fault } from './fault.ts';
import { cutPage, decodePageToken, encodePageToken } from './paging.ts';

test('a token comes back as the key it was made of', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (key) => decodePageToken('users', encodePageToken('users', key)) === key),
  );
});

test('any other text is refused as a bad token', () => {
  const isRefused = (error: unknown): boolean => error instanceof Fault && error.reason === 'page_token_invalid';
  for (const token of ['x', '!!', '{}', encodePageToken('policies', 'a'), Buffer.from('[1,2]').toString('base64url')]) {
    assert.throws(() => decodePageToken('users', token), isRefused);
  }
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), (token) => {
      assert.throws(() => decodePageToken('users', token), isRefused);
    }),
  );
});

test('pages of any size join to the whole list', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string({ minLength: 1 })), fc.integer({ min: 1, max: 5 }), (keys, size) => {
      const all = keys.toSorted();
      const seen: string[] = [];
      let token = '';
      do {
        const after = decodePageToken('list', token);
        const rows = all.filter((key) => key > after).slice(0, size + 1);
        const [page, next] = cutPage('list', rows, size, (key) => key);
        seen.push(...page);
        token = next;
      } while (token !== '');
      assert.deepEqual(seen, all);
    }),
  );
});
