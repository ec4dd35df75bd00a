import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePairs, parseTemplate } from './pairs.ts';

test('parameters are read from name=value', () => {
  assert.deepEqual(parsePairs(['a=1', 'b=x=y', 'c=']), { a: '1', b: 'x=y', c: '' });
  for (const words of [['a'], ['=1'], ['a=1', 'a=2']]) assert.throws(() => parsePairs(words), { code: 'invalid_argument' });
});

test('a template is a blueprint and its parameters', () => {
  assert.deepEqual(parseTemplate('evm-dev'), { blueprint: 'evm-dev', parameters: {} });
  assert.deepEqual(parseTemplate('evm-dev,chainId=5,blockSeconds=2'), {
    blueprint: 'evm-dev',
    parameters: { chainId: '5', blockSeconds: '2' },
  });
  for (const text of ['', 'chainId=5', 'evm-dev,chainId']) assert.throws(() => parseTemplate(text), { code: 'invalid_argument' });
});
