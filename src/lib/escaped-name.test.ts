import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { escapeName, escapeText, isEscaped, isNameText, unescapeName } from './escaped-name.ts';

const cases: readonly [bytes: Buffer, text: string][] = [
  [Buffer.from(''), ''],
  [Buffer.from('plain.txt'), 'plain.txt'],
  [Buffer.from('\u{1f600} é \ufffd \ufeff'), '\u{1f600} é \ufffd \ufeff'],
  [Buffer.from([0x61, 0xff]), 'a␛FF'],
  [Buffer.from([0xc3, 0x28, 0xa9]), '␛C3(␛A9'],
  // Half a surrogate pair, and an overlong slash.
  [Buffer.from([0xed, 0xa0, 0x80, 0xc0, 0xaf]), '␛ED␛A0␛80␛C0␛AF'],
  [Buffer.from('␛'), '␛'],
  [Buffer.from('␛41 ␛ff'), '␛41 ␛ff'],
  [Buffer.from('␛FF'), '␛E2␛90␛9BFF'],
  [Buffer.concat([Buffer.from('␛'), Buffer.from([0xff])]), '␛␛FF'],
  // The end of an escape and the beginning of a name do not make another.
  [Buffer.concat([Buffer.from([0xff]), Buffer.from('FF')]), '␛FFFF'],
];
for (const [bytes, text] of cases)
  test(`the text of ${bytes.toString('hex')} is ${text}`, () => {
    assert.equal(escapeName(bytes), text);
    assert.deepEqual(unescapeName(text), bytes);
    assert.equal(isNameText(text), true);
  });

// Bytes that make many near misses of escapes.
const piece = fc.oneof(
  fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom('␛', '␛F', 'FF', '9B', '\ufffd', 'é', '\u{10ffff}', 'a/b').map((text) => Buffer.from(text)),
  fc.constantFrom([0xe2], [0x90], [0x9b], [0xe2, 0x90], [0xff]).map((bytes) => Buffer.from(bytes)),
);
const name = fc.array(piece, { maxLength: 8 }).map((pieces) => Buffer.concat(pieces));

test('every name has a text, from which its bytes come back', () => {
  fc.assert(
    fc.property(name, (bytes) => {
      const text = escapeName(bytes);
      assert.ok(text.isWellFormed());
      assert.deepEqual(unescapeName(text), bytes);
      assert.ok(isNameText(text));
      assert.equal(isEscaped(text), !Buffer.from(text).equals(bytes));
    }),
    { numRuns: 2000 },
  );
});

test('a path has the text of its names', () => {
  fc.assert(
    fc.property(fc.array(name, { minLength: 1, maxLength: 4 }), (names) => {
      const path = Buffer.concat(names.flatMap((one) => [one, Buffer.from('/')]));
      assert.equal(escapeName(path), names.map((one) => `${escapeName(one)}/`).join(''));
    }),
  );
});

test('a name that is text has the same text either way', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => assert.equal(escapeText(text), escapeName(Buffer.from(text)))));
});

test('a text that is not made from a name is told', () => {
  for (const text of ['␛C3␛A9', '␛E2␛90␛9B', '\ud800', '␛E2␛90␛9BZZ']) assert.equal(isNameText(text), false);
});
