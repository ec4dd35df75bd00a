import { type Node, Node_Kind } from '#gen/cellar/data/v1/node_pb.ts';
import { Tree } from '#gen/cellar/data/v1/tree_pb.ts';
import type { Client } from '#kernel/calls/client.ts';
import { Code, Fault } from '#kernel/fault.ts';
import type { CliContext } from '../command.ts';

export type TreeClient = Client<typeof Tree>;

/** Most entries asked for at a time. */
export const pageSize = 1000;

export async function treeOf(context: CliContext): Promise<TreeClient> {
  return (await context.connect()).client(Tree);
}

/** What lies at a path; undefined when nothing does. */
export async function lookUp(tree: TreeClient, path: string, signal: AbortSignal): Promise<Node | undefined> {
  try {
    return await tree.stat({ path }, { signal });
  } catch (error) {
    if (error instanceof Fault && error.code === Code.NotFound) return undefined;
    throw error;
  }
}

export function isFolder(node: Node): boolean {
  return node.kind === Node_Kind.FOLDER;
}
