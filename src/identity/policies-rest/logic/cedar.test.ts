import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { Fault } from '#kernel/fault.ts';
import { assertPolicyText } from './assert-policy-text.ts';
import { compileCedar } from './cedar.ts';
import { compilePolicies } from './policy-set.ts';
import { createQuestion } from './question.ts';

const wrong: readonly [string, RegExp][] = [
  ['permit(principal,\n action == Acton::"x,\n resource);', /line 2, column 19/],
  ['permit(principal,\n action,\n resourc);', /line 3, column 2: .*resourc/],
  ['// ü\npermit(principal, action, resourc);', /line 2, column 27/],
  ['permit(principal, action, resource) when { principal.nam == "ann" };', /line 1, column 44: .*nam/],
  ['permit(principal, action, resource in Folder::"docs");', /Folder/],
  ['permit(principal == Role::"admin", action, resource);', /applicable action/],
  ['permit(principal == ?principal, action, resource);', /template/],
  ['// only words', /no permit and no forbid/],
  ['permit', /line 1/],
];

for (const [text, message] of wrong) {
  test(`refused: ${text}`, async () => {
    await assert.rejects(assertPolicyText(text), (error) => {
      assert.ok(error instanceof Fault);
      assert.equal(error.code, 'invalid_argument');
      assert.match(error.message, message);
      return true;
    });
  });
}

const right = [
  'permit(principal, action, resource) when { principal.name == "ann" && resource in Path::"docs" };',
  'permit(principal is User, action == Action::"data:read", resource) when { resource in [Path::"a", Path::"b"] };',
  'forbid(principal, action in [Action::"data:write", Action::"data:read"], resource) unless { principal in Role::"admin" };',
  'permit(principal, action, resource) when { principal.name like "team-*" };',
];

for (const text of right) test(`taken: ${text}`, () => assertPolicyText(text));

const ann = { id: 'u1', name: 'ann', roles: [Role.USER] };
const read = (path: string) => createQuestion(ann, 'data:read', `data/${path}`);

test('policies that need Cedar decide beside plain ones', async () => {
  const decide = await compilePolicies([
    {
      id: 'team',
      text: 'permit(principal, action == Action::"data:read", resource in Path::"docs") when { principal.name like "a*" };',
    },
    { id: 'private', text: 'forbid(principal, action, resource in Path::"docs/private");' },
  ]);
  assert.deepEqual(decide(read('docs/a')), { isAllowed: true, policies: ['team'] });
  assert.deepEqual(decide(read('docs/private/a')), { isAllowed: false, policies: ['private'] });
  assert.deepEqual(decide(read('photos/a')), { isAllowed: false, policies: [] });
  assert.deepEqual(decide(read('docs/a')), { isAllowed: true, policies: ['team'] });
});

test('a forbid that fails forbids, a permit that fails permits nothing', () => {
  const failing = compileCedar([
    { id: 'all', text: 'permit(principal, action, resource);' },
    { id: 'broken', text: 'forbid(principal, action, resource) when { resource.secret };' },
  ]);
  assert.deepEqual(failing(read('docs')), { isAllowed: false, policies: ['broken'] });
  const permitting = compileCedar([{ id: 'broken', text: 'permit(principal, action, resource) when { resource.secret };' }]);
  assert.deepEqual(permitting(read('docs')), { isAllowed: false, policies: [] });
});

test('a stored policy that is not Cedar allows nothing and is named', async () => {
  await assert.rejects(
    compilePolicies([
      { id: 'fine', text: 'permit(principal, action, resource);' },
      { id: 'bad', text: 'permit(' },
    ]),
    /"bad"/,
  );
});
