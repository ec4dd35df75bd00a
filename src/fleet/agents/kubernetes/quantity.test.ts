import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quantity } from './quantity.ts';

const cases: [text: string, value: number][] = [
  ['0', 0],
  ['128974848', 128_974_848],
  ['129e6', 129e6],
  ['129M', 129e6],
  ['123Mi', 123 * 1024 * 1024],
  ['250m', 0.25],
  ['2', 2],
  ['1500000n', 0.0015],
  ['3Ki', 3072],
  ['much', 0],
  ['', 0],
];
for (const [text, value] of cases) test(`${JSON.stringify(text)} is ${value}`, () => assert.equal(quantity(text), value));
