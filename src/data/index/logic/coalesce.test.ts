import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type NodeEvent, NodeEvent_Kind, NodeEventSchema } from '#gen/cellar/data/v1/index_pb.ts';
import { Node_Kind } from '#gen/cellar/data/v1/node_pb.ts';
import { coalesce } from './coalesce.ts';

const signs = {
  '+': NodeEvent_Kind.CREATED,
  '~': NodeEvent_Kind.UPDATED,
  '-': NodeEvent_Kind.DELETED,
  '>': NodeEvent_Kind.MOVED,
};

/** `+a/x:7` is the creation of node 7 at `a/x`; a slash at the end of the path makes it a folder. */
function event(text: string, at: number): NodeEvent {
  const [path = '', id = ''] = text.slice(1).split(':');
  const isFolder = path.endsWith('/');
  return create(NodeEventSchema, {
    kind: signs[text[0] as keyof typeof signs],
    node: { id, path: isFolder ? path.slice(0, -1) : path, kind: isFolder ? Node_Kind.FOLDER : Node_Kind.FILE },
    position: BigInt(at + 1),
  });
}

function told({ kind, node, position }: NodeEvent): string {
  const sign = Object.entries(signs).find(([, value]) => value === kind)?.[0];
  return `${sign}${node?.path}:${node?.id}@${position}`;
}

for (const [what, events, expected] of [
  ['nothing', '', ''],
  ['one of each', '+a:1 ~b:2 -c:3', '+a:1@1 ~b:2@2 -c:3@3'],
  ['a new file that grows', '+a:1 ~a:1 ~a:1', '+a:1@3'],
  ['a file that changes twice', '~a:1 +b:2 ~a:1', '~a:1@3 +b:2@2'],
  ['what came and went', '+a:1 ~a:1 -a:1', ''],
  ['what changed and went', '~a:1 -a:1', '-a:1@2'],
  ['another file at the same path', '-a:1 +a:2', '-a:1@1 +a:2@2'],
  ['a change before another file took the path', '~a:1 -a:1 +a:2', '-a:1@2 +a:2@3'],
  ['a folder that went with all in it', '~f/a:1 -f/b:2 +f/c:3 -f/:9', '-f:9@4'],
  ['a folder that came and went', '+f/:9 +f/a:1 -f/:9 +g:4', '+g:4@4'],
  ['a folder that went, came and went', '-f/:8 +f/:9 +f/a:1 -f/:9', '-f:8@1'],
  ['a folder of which the name is the start of another', '+fa:1 -f/:9', '+fa:1@1 -f:9@2'],
  ['moves, which nothing is carried across', '+f/a:1 >g/:9 ~g/a:1', '+f/a:1@1 >g:9@2 ~g/a:1@3'],
] as const)
  test(`coalesced: ${what}`, () => {
    const given = events.split(' ').filter(Boolean).map(event);
    assert.deepEqual(coalesce(given).map(told).join(' '), expected);
  });
