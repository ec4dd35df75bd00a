import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uriEncode } from './uri-encode.ts';

test('all but unreserved characters are encoded', () => {
  assert.equal(uriEncode("aZ09-._~ /+!'()*ü"), 'aZ09-._~%20%2F%2B%21%27%28%29%2A%C3%BC');
  assert.equal(uriEncode('a/b c', true), 'a/b%20c');
});
