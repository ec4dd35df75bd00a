import { type NodeEvent, NodeEvent_Kind } from '#gen/cellar/data/v1/index_pb.ts';
import { Node_Kind } from '#gen/cellar/data/v1/node_pb.ts';
import { isWithin } from '#lib/tree-path.ts';

/**
 * Fewer events with the same outcome: of several of one node the last, at the place of the first; nothing of what came and went; and a
 * folder's deletion for those of all below. Nothing is carried across events that change the paths of others, such as moves.
 */
export function coalesce(events: readonly NodeEvent[]): NodeEvent[] {
  const done: NodeEvent[] = [];
  let pending = new Map<string, NodeEvent>();
  for (const event of events) {
    const { kind, node } = event;
    if (!node || (kind !== NodeEvent_Kind.CREATED && kind !== NodeEvent_Kind.UPDATED && kind !== NodeEvent_Kind.DELETED)) {
      done.push(...pending.values(), event);
      pending = new Map();
      continue;
    }
    const earlier = pending.get(node.id);
    const isNew = earlier?.kind === NodeEvent_Kind.CREATED;
    if (kind !== NodeEvent_Kind.DELETED) {
      pending.set(node.id, isNew ? { ...event, kind: NodeEvent_Kind.CREATED } : event);
      continue;
    }
    if (node.kind === Node_Kind.FOLDER) dropBelow(pending, node.path, isNew);
    // Deletions stand where they happen: what comes to the same path comes later.
    pending.delete(node.id);
    if (!isNew) pending.set(node.id, event);
  }
  return [...done, ...pending.values()];
}

/** What was told of a folder's content that is gone with it. Earlier deletions stay when the folder itself is not told at all. */
function dropBelow(pending: Map<string, NodeEvent>, folder: string, isNew: boolean): void {
  for (const [id, { kind, node }] of pending) {
    if (node && isWithin(node.path, folder) && !(isNew && kind === NodeEvent_Kind.DELETED)) pending.delete(id);
  }
}
