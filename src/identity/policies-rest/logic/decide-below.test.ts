import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { decideBelow } from './decide-below.ts';
import { compilePolicies } from './policy-set.ts';
import { createQuestion } from './question.ts';

const read = (path: string) => createQuestion({ id: 'u1', name: 'ann', roles: [Role.USER] }, 'data:read', `data/${path}`);
const permitAll = { id: 'all', text: 'permit(principal, action, resource in Path::"docs");' };

for (const [what, text] of [
  ['a folder below', 'forbid(principal, action, resource in Path::"docs/a/private");'],
  ['a file below', 'forbid(principal, action, resource == Path::"docs/a/b/file");'],
  ['a condition about one', 'forbid(principal, action, resource) when { resource in Path::"docs/a/private" };'],
  [
    'a path with an escape',
    'forbid(principal, action, resource in Path::"docs/a/\\u{70}rivate") unless { principal in Role::"admin" };',
  ],
] as const) {
  test(`a folder with all below is not allowed when ${what} is forbidden`, async () => {
    const policies = await compilePolicies([permitAll, { id: 'no', text }]);
    assert.equal(policies(read('docs/a')).isAllowed, true);
    assert.deepEqual(decideBelow(policies, read('docs/a')), { isAllowed: false, policies: ['no'] });
    assert.equal(decideBelow(policies, read('docs/other')).isAllowed, true);
    assert.equal(decideBelow(policies, read('docs/a/c')).isAllowed, true);
  });
}

test('a permit for a folder alone is none for what is in it', async () => {
  const policies = await compilePolicies([{ id: 'one', text: 'permit(principal, action, resource == Path::"docs/a");' }]);
  assert.equal(policies(read('docs/a')).isAllowed, true);
  assert.equal(decideBelow(policies, read('docs/a')).isAllowed, false);
});

test('an exception in a permit counts', async () => {
  const text = 'permit(principal, action, resource in Path::"docs") unless { resource in Path::"docs/a/private" };';
  const policies = await compilePolicies([{ id: 'most', text }]);
  assert.equal(decideBelow(policies, read('docs')).isAllowed, false);
  assert.equal(decideBelow(policies, read('docs/b')).isAllowed, true);
});

// "z" is a name that no policy names.
const below = (path: string, depth: number): string[] =>
  depth === 0 ? [path] : [path, ...['a', 'b', 'z'].flatMap((name) => below(path === '' ? name : `${path}/${name}`, depth - 1))];

test('it is what asking about every path below would say', async () => {
  const path = fc.array(fc.constantFrom('a', 'b'), { maxLength: 3 }).map((names) => names.join('/'));
  const policy = fc.record({
    effect: fc.constantFrom('permit', 'forbid'),
    path,
    shape: fc.constantFrom(
      (at: string) => `resource in Path::"${at}");`,
      (at: string) => `resource == Path::"${at}");`,
      (at: string) => `resource) when { resource in Path::"${at}" };`,
      (at: string) => `resource) unless { resource == Path::"${at}" };`,
    ),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(policy, { minLength: 1, maxLength: 4 }), path, async (parts, top) => {
      const texts = parts.map(({ effect, path: at, shape }, index) => ({
        id: `p${index}`,
        text: `${effect}(principal, action, ${shape(at)}`,
      }));
      const policies = await compilePolicies(texts);
      const every = below(top, 5).every((one) => policies(read(one)).isAllowed);
      assert.equal(decideBelow(policies, read(top)).isAllowed, every);
    }),
    { numRuns: 40 },
  );
});
