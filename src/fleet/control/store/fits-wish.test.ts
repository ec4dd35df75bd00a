import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fitsWish } from './fits-wish.ts';
import type { ClaimWish } from './store.ts';

const cluster = { host: 'h1', labels: { tier: 'gold' }, blueprint: 'etcd', parameters: { members: '3' } };
const any: ClaimWish = { blueprint: '', parameters: {}, selectors: [] };
const on = (host: string, labels: Record<string, string> = {}) => ({ host, labels });

test('a wish is for a kind of cluster, and for places in order', () => {
  const table: readonly [what: string, wish: Partial<ClaimWish>, fits: boolean][] = [
    ['anything', {}, true],
    ['its blueprint', { blueprint: 'etcd' }, true],
    ['another blueprint', { blueprint: 'evm-dev' }, false],
    ['its parameter', { parameters: { members: '3' } }, true],
    ['another value', { parameters: { members: '5' } }, false],
    ['a parameter it has not', { parameters: { toString: 'x' } }, false],
    ['its host', { selectors: [on('h1')] }, true],
    ['another host', { selectors: [on('h2')] }, false],
    ['another host, or its own', { selectors: [on('h2'), on('h1')] }, true],
    ['its label', { selectors: [on('', { tier: 'gold' })] }, true],
    ['the label of its host', { selectors: [on('', { zone: 'b' })] }, true],
    ['both', { selectors: [on('h1', { zone: 'b', tier: 'gold' })] }, true],
    ['another zone', { selectors: [on('', { zone: 'a' })] }, false],
    ['what its host has and it says otherwise', { selectors: [on('', { tier: 'any' })] }, false],
    ['a label that nobody has', { selectors: [on('', { disk: '' })] }, false],
  ];
  for (const [what, wish, fits] of table)
    assert.equal(fitsWish(cluster, { ...any, ...wish }, { zone: 'b', tier: 'any' }), fits, what);
});
