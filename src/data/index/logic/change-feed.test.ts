import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { NodeEvent_Kind, NodeEventSchema } from '#gen/cellar/data/v1/index_pb.ts';
import { concerns } from './change-feed.ts';

for (const [what, kind, path, oldPath, expected] of [
  ['what is in it', NodeEvent_Kind.UPDATED, 'docs/a/b/x', '', true],
  ['itself', NodeEvent_Kind.DELETED, 'docs/a/b', '', true],
  ['a neighbour', NodeEvent_Kind.UPDATED, 'docs/a/bc', '', false],
  ['a folder around it that is deleted', NodeEvent_Kind.DELETED, 'docs/a', '', true],
  ['a folder around it that is made', NodeEvent_Kind.CREATED, 'docs/a', '', false],
  ['a move into it', NodeEvent_Kind.MOVED, 'docs/a/b/x', 'docs/x', true],
  ['a move out of it', NodeEvent_Kind.MOVED, 'docs/x', 'docs/a/b/x', true],
  ['a move of a folder around it', NodeEvent_Kind.MOVED, 'docs/z', 'docs/a', true],
  ['a move elsewhere', NodeEvent_Kind.MOVED, 'docs/z', 'docs/y', false],
  ['a reset', NodeEvent_Kind.RESET, 'docs', '', true],
] as const)
  test(`the feed of a folder ${expected ? 'has' : 'has not'} ${what}`, () => {
    assert.equal(concerns(create(NodeEventSchema, { kind, node: { path }, oldPath }), 'docs/a/b'), expected);
  });
