import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonMistake } from './json-position.ts';

test('the place where a text stops being JSON is found', () => {
  const table: [string, number, number][] = [
    ['', 1, 1],
    ['{"a": 1,}', 1, 9],
    ['{"a": 01}', 1, 7],
    ['{"a" 1}', 1, 6],
    ['{\n  "a": tru\n}', 2, 8],
    ['[1, 2', 1, 6],
    ['[1 2]', 1, 4],
    ['"a\nb"', 1, 1],
    ['{} {}', 1, 4],
    ["{'a': 1}", 1, 2],
    ['{"a": undefined}', 1, 7],
    ['[1,]', 1, 4],
    ['}', 1, 1],
  ];
  for (const [text, line, column] of table) assert.deepEqual(jsonMistake(text), { line, column }, text);
});

test('it agrees with the parser about what is JSON', () => {
  const broken = fc
    .tuple(fc.json(), fc.nat(), fc.constantFrom('', '}', ',', '"', '1', 'x', '\\'))
    .map(([text, at, extra]) => text.slice(0, at % (text.length + 1)) + extra + text.slice((at % (text.length + 1)) + 1));
  fc.assert(
    fc.property(fc.oneof(fc.json(), broken), (text) => {
      let isJson = true;
      try {
        JSON.parse(text);
      } catch {
        isJson = false;
      }
      assert.equal(jsonMistake(text) === undefined, isJson, text);
    }),
    { numRuns: 2000 },
  );
});
