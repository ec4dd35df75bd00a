import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sessions } from '#gen/cellar/identity/v1/credentials_pb.ts';
import { Users } from '#gen/cellar/identity/v1/users_pb.ts';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { Code, type Fault } from '../fault.ts';
import { anybody, assertMayCall, type Caller, hasScope, serviceCaller } from './caller.ts';
import { methodOf, readContract } from './contract.ts';

const scopes: readonly (readonly [string[], string, boolean])[] = [
  [['*'], 'data:read', true],
  [['data:read'], 'data:read', true],
  [['data:read'], 'data:write', false],
  [['data:write'], 'data:read', true],
  [['data:*'], 'data:write', true],
  [['data:*'], 'identity:read', false],
  [['identity:read'], '*', true],
  [[], '*', false],
  [[], 'data:read', false],
];
for (const [held, wanted, expected] of scopes) {
  test(`[${held}] ${expected ? 'covers' : 'does not cover'} ${wanted}`, () => assert.equal(hasScope(held, wanted), expected));
}

const user: Caller = { id: 'u1', name: 'alice', roles: [Role.USER], scopes: ['*'], via: '' };
const listUsers = methodOf(readContract(Users), 'listUsers');
const login = methodOf(readContract(Sessions), 'login');
const getMe = methodOf(readContract(Sessions), 'getMe');

const calls: readonly (readonly [string, Parameters<typeof assertMayCall>, Code | undefined])[] = [
  ['anybody may log in', [login, anybody], undefined],
  ['anybody may not list users', [listUsers, anybody], Code.Unauthenticated],
  ['a user may not list users', [listUsers, user], Code.PermissionDenied],
  ['an administrator may list users', [listUsers, { ...user, roles: [Role.USER, Role.ADMIN] }], undefined],
  [
    'an administrator with a narrow token may not',
    [listUsers, { ...user, roles: [Role.ADMIN], scopes: ['data:*'] }],
    Code.PermissionDenied,
  ],
  ['any token may ask who it is', [getMe, { ...user, scopes: ['data:read'] }], undefined],
  ['a service is not a user', [getMe, serviceCaller('cellar.rest.tree')], Code.PermissionDenied],
];
for (const [name, args, code] of calls) {
  test(name, () => {
    if (!code) assertMayCall(...args);
    else
      assert.throws(
        () => assertMayCall(...args),
        (fault: Fault) => fault.code === code,
      );
  });
}
