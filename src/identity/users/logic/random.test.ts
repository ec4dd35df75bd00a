import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashToken, isToken, newAccessKey, newId, newReadablePassword, newSecretKey, newToken } from './random.ts';

const shapes: readonly [string, () => string, RegExp][] = [
  ['token', newToken, /^cellar_[0-9A-Za-z]{32}$/],
  ['id', newId, /^[0-9A-Za-z]{16}$/],
  ['access key', newAccessKey, /^CELLAR[A-Z2-7]{14}$/],
  ['secret key', newSecretKey, /^[0-9A-Za-z]{40}$/],
  ['password', newReadablePassword, /^[a-z2-9]{5}(-[a-z2-9]{5}){3}$/],
];

for (const [name, make, shape] of shapes) {
  test(`every ${name} is of its shape and another`, () => {
    const made = Array.from({ length: 500 }, make);
    for (const text of made) assert.match(text, shape);
    assert.equal(new Set(made).size, made.length);
  });
}

test('letters are equally likely', () => {
  const counts = new Map<string, number>();
  for (const letter of Array.from({ length: 2000 }, newId).join('')) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  assert.equal(counts.size, 62);
  const expected = (2000 * 16) / 62;
  for (const [letter, count] of counts) assert.ok(Math.abs(count - expected) < expected / 2, `${letter}: ${count}`);
});

test('tokens are told from other text, and are not found in their hash', () => {
  const token = newToken();
  assert.equal(isToken(token), true);
  for (const other of ['', token.slice(1), `${token}x`, token.toUpperCase(), ` ${token}`, `${token}\n`])
    assert.equal(isToken(other), false);
  assert.match(hashToken(token), /^[0-9a-f]{64}$/);
});
