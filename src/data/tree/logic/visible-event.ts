import { create } from '@bufbuild/protobuf';
import { type NodeEvent, NodeEvent_Kind, NodeEventSchema } from '#gen/cellar/data/v1/index_pb.ts';
import { NodeSchema } from '#gen/cellar/data/v1/node_pb.ts';
import { nameOf } from '#lib/tree-path.ts';

/**
 * What somebody may be told of an event. Of a move that they see one end of, it is what it looks like from there: something came or went,
 * and not where from or to. Result: undefined when they see neither.
 */
export async function visibleEvent(
  event: NodeEvent,
  isVisible: (path: string) => boolean | Promise<boolean>,
): Promise<NodeEvent | undefined> {
  const { node, oldPath } = event;
  const [seesNew, seesOld] = await Promise.all([
    node ? isVisible(node.path) : false,
    oldPath === '' ? false : isVisible(oldPath),
  ]);
  if (seesNew && (seesOld || oldPath === '')) return event;
  if (seesNew && node) return create(NodeEventSchema, { kind: NodeEvent_Kind.CREATED, node });
  if (!seesOld || !node) return undefined;
  const gone = create(NodeSchema, {
    id: node.id,
    kind: node.kind,
    path: oldPath,
    name: nameOf(oldPath),
  });
  return create(NodeEventSchema, { kind: NodeEvent_Kind.DELETED, node: gone });
}
