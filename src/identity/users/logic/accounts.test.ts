import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { Fault } from '#kernel/fault.ts';
import type { UserChange } from '../store/store.ts';
import { changeOf } from './accounts.ts';

const none = { displayName: '', roles: [], disabled: false };

const cases: readonly [string, Parameters<typeof changeOf>[0], readonly string[] | undefined, UserChange][] = [
  ['nothing', none, undefined, {}],
  ['an empty mask', { ...none, displayName: 'Ann' }, [], {}],
  ['what is set', { ...none, displayName: 'Ann', disabled: true }, undefined, { displayName: 'Ann', isDisabled: true }],
  ['only what the mask names', { ...none, displayName: 'Ann', disabled: true }, ['disabled'], { isDisabled: true }],
  ['to the empty value by mask', none, ['display_name', 'disabled'], { displayName: '', isDisabled: false }],
  ['up', { ...none, roles: [Role.ADMIN] }, undefined, { isAdmin: true }],
  ['down', { ...none, roles: [Role.USER] }, undefined, { isAdmin: false }],
  ['down by mask', none, ['roles'], { isAdmin: false }],
];

for (const [name, user, mask, expected] of cases) {
  test(`an update changes ${name}`, () => assert.deepEqual(changeOf(user, mask), expected));
}

for (const [user, mask] of [
  [none, ['name']],
  [none, ['constructor']],
  [none, ['displayName']],
  [{ ...none, roles: [Role.SERVICE] }, undefined],
  [{ ...none, roles: [Role.ANYONE] }, ['roles']],
] as const) {
  test(`refused: mask ${mask ?? 'absent'}, roles ${user.roles.join()}`, () => {
    assert.throws(
      () => changeOf(user, mask),
      (error) => error instanceof Fault && error.code === 'invalid_argument',
    );
  });
}
