import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { literal, matchesWildcard, parseWildcard } from './wildcard.ts';

const cases: readonly (readonly [pattern: string, text: string, matches: boolean])[] = [
  ['', '', true],
  ['', 'a', false],
  ['*', '', true],
  ['*', 'a/b', true],
  ['a*', 'a', true],
  ['a*c', 'abcbc', true],
  ['a*c', 'abcb', false],
  ['?', '', false],
  ['a?c', 'abc', true],
  ['a?c', 'ac', false],
  ['*a*b*', 'xxaxxbxx', true],
  ['*a*b*', 'xxbxxaxx', false],
  ['a.c', 'abc', false],
];
for (const [pattern, text, matches] of cases)
  test(`"${pattern}" and "${text}"`, () => assert.equal(matchesWildcard(parseWildcard(pattern), text), matches));

test('matches what a regular expression matches', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 });
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 6 }), text, (pattern, tried) => {
      const expression = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`);
      return matchesWildcard(parseWildcard(pattern), tried) === expression.test(tried);
    }),
  );
});

test('inserted text has no wildcards', () => {
  const pattern = [...parseWildcard('home/'), ...literal('*'), ...parseWildcard('/*')];
  assert.equal(matchesWildcard(pattern, 'home/*/a'), true);
  assert.equal(matchesWildcard(pattern, 'home/other/a'), false);
});
