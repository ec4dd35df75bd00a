import { join } from 'node:path';
import type { Node } from '#gen/cellar/data/v1/node_pb.ts';
import { isFolder, pageSize, type TreeClient } from '../actions/tree.ts';
import { millis } from '../output/format.ts';
import type { Item } from './item.ts';
import { isSafeName } from './plan.ts';

/** A remote file or folder and all below it, for the local path `to`. */
export async function* walkRemote(tree: TreeClient, node: Node, to: string, signal: AbortSignal): AsyncGenerator<Item> {
  if (!isFolder(node)) {
    yield { kind: 'file', from: node.path, to, size: Number(node.sizeBytes), modifyMs: millis(node.modifyTime) ?? Date.now() };
    return;
  }
  yield { kind: 'folder', from: node.path, to };
  let pageToken = '';
  do {
    const answer = await tree.list({ path: node.path, pageSize, pageToken }, { signal });
    for (const child of answer.nodes) {
      if (isSafeName(child.name)) yield* walkRemote(tree, child, join(to, child.name), signal);
      else yield { kind: 'skipped', from: child.path, why: 'its name cannot be one of a local file' };
    }
    pageToken = answer.nextPageToken;
  } while (pageToken);
}
