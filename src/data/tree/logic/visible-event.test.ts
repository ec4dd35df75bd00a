import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { NodeEvent_Kind, NodeEventSchema } from '#gen/cellar/data/v1/index_pb.ts';
import { visibleEvent } from './visible-event.ts';

const moved = create(NodeEventSchema, {
  kind: NodeEvent_Kind.MOVED,
  node: { path: 'docs/b/new', name: 'new', etag: 'e' },
  oldPath: 'docs/a/old',
});

for (const [sees, kind, path, oldPath] of [
  ['docs/a docs/b', NodeEvent_Kind.MOVED, 'docs/b/new', 'docs/a/old'],
  ['docs/b', NodeEvent_Kind.CREATED, 'docs/b/new', ''],
  ['docs/a', NodeEvent_Kind.DELETED, 'docs/a/old', ''],
  ['docs/c', undefined, undefined, undefined],
] as const) {
  test(`a move from docs/a to docs/b, as seen from ${sees}`, async () => {
    const told = await visibleEvent(moved, (at) => sees.split(' ').some((folder) => at.startsWith(`${folder}/`)));
    assert.deepEqual([told?.kind, told?.node?.path, told?.oldPath], [kind, path, oldPath]);
  });
}

test('other events are told as they are, or not at all', async () => {
  const made = create(NodeEventSchema, { kind: NodeEvent_Kind.CREATED, node: { path: 'docs/a' } });
  assert.equal(await visibleEvent(made, () => true), made);
  assert.equal(await visibleEvent(made, () => false), undefined);
});
