import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBucketName } from './bucket-name.ts';

const names: readonly (readonly [name: string, isGood: boolean])[] = [
  ['photos', true],
  ['a.b-c.9', true],
  ['a'.repeat(63), true],
  ['ab', false],
  ['a'.repeat(64), false],
  ['Photos', false],
  ['a_b', false],
  ['-ab', false],
  ['ab-', false],
  ['a..b', false],
  ['a.-b', false],
  ['a-.b', false],
  ['192.168.5.4', false],
  ['xn--a', false],
];
for (const [name, isGood] of names) test(`bucket name ${name}`, () => assert.equal(isBucketName(name), isGood));
