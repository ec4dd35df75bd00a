import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { anybody } from '#kernel/calls/caller.ts';
import { Fault } from '#kernel/fault.ts';
import { createQuestion, parseResource } from './question.ts';

const resources: readonly [string, string, readonly string[]][] = [
  ['data/docs/reports/2026.pdf', 'Path::docs/reports/2026.pdf', ['Path::docs/reports', 'Path::docs', 'Path::']],
  ['data/docs', 'Path::docs', ['Path::']],
  ['data/docs/', 'Path::docs', ['Path::']],
  ['data//docs', 'Path::docs', ['Path::']],
  ['data/', 'Path::', []],
  ['data', 'Path::', []],
  ['data/docs/..hidden', 'Path::docs/..hidden', ['Path::docs', 'Path::']],
  ['call/cellar.data.v1.Tree/List', 'Call::cellar.data.v1.Tree/List', ['Contract::cellar.data.v1.Tree']],
];

for (const [resource, entity, parents] of resources) {
  test(`${resource} is ${entity}`, () => {
    const parsed = parseResource(resource);
    assert.equal(`${parsed.type}::${parsed.id}`, entity);
    assert.deepEqual(
      parsed.parents.map(({ type, id }) => `${type}::${id}`),
      parents,
    );
  });
}

for (const resource of ['', 'docs', 'dataset/x', 'data/../x', 'data/a/./b', 'call/x', 'call/a/b/c', 'call/../b', 'DATA/x']) {
  test(`"${resource}" is refused`, () => {
    assert.throws(
      () => parseResource(resource),
      (error) => error instanceof Fault && error.reason === 'resource_invalid',
    );
  });
}

test('no path is inside another unless it lies below it', () => {
  const name = fc.stringMatching(/^[a-z]{1,2}$/);
  fc.assert(
    fc.property(fc.array(name), fc.array(name), (path, other) => {
      const parsed = parseResource(`data/${path.join('/')}`);
      const isBelow = path.length > other.length && other.every((part, index) => part === path[index]);
      assert.equal(
        parsed.parents.some(({ id }) => id === other.join('/')),
        isBelow,
      );
    }),
  );
});

test('principals', () => {
  const parents = (roles: readonly Role[]): readonly string[] =>
    createQuestion({ id: 'u1', name: 'ann', roles: [...roles] }, 'data:read', 'data').principal.parents.map(({ id }) => id);
  assert.deepEqual(parents([Role.USER, Role.ADMIN]), ['admin', 'user']);
  assert.deepEqual(parents([Role.USER]), ['user']);
  assert.deepEqual(parents([]), []);
  assert.equal(createQuestion(anybody, 'data:read', 'data').principal.type, 'Anybody');
});
