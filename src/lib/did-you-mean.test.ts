import assert from 'node:assert/strict';
import { test } from 'node:test';
import { didYouMean, editDistance } from './did-you-mean.ts';

test('finds what was meant, and nothing when nothing is close', () => {
  const known = ['gateway.port', 'gateway.host', 'log.level', 'database.url'];
  for (const [word, meant] of [
    ['gateway.prot', 'gateway.port'],
    ['gatway.port', 'gateway.port'],
    ['log.lvl', 'log.level'],
    ['Database.URL', 'database.url'],
    ['colour', undefined],
    ['', undefined],
  ] as const)
    assert.equal(didYouMean(word, known), meant, word);
});

test('counts edits', () => {
  assert.equal(editDistance('port', 'prot', 9), 1);
  assert.equal(editDistance('kitten', 'sitting', 9), 3);
  assert.equal(editDistance('abc', 'abc', 9), 0);
  assert.equal(editDistance('abc', 'xyzuvw', 2), 2);
});
