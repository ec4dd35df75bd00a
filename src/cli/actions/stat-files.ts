import { toJson } from '@bufbuild/protobuf';
import { type Node, NodeSchema } from '#gen/cellar/data/v1/node_pb.ts';
import type { CliContext } from '../command.ts';
import { formatAge, formatBytes, formatCount, formatTime } from '../output/format.ts';
import { formatFields } from '../output/table.ts';
import { parseRemotePath } from '../remote-path.ts';
import { isFolder, treeOf } from './tree.ts';

export async function statFiles(context: CliContext, texts: readonly string[]): Promise<void> {
  const tree = await treeOf(context);
  const nodes: Node[] = [];
  for (const text of texts) nodes.push(await tree.stat({ path: parseRemotePath(text) }, { signal: context.signal }));
  const json = nodes.map((node) => toJson(NodeSchema, node, { alwaysEmitImplicit: true }));
  context.output.result(json.length === 1 ? json[0] : json, () =>
    nodes.map((node) => formatFields(describe(node), context.output.style)).join('\n\n'),
  );
}

function describe(node: Node): Record<string, string> {
  return {
    path: node.path || '(root)',
    kind: isFolder(node) ? 'folder' : 'file',
    size: `${formatBytes(node.sizeBytes)} (${formatCount(node.sizeBytes)} bytes)`,
    ...(isFolder(node) ? { files: formatCount(node.files) } : { type: node.contentType, etag: node.etag }),
    ...(node.modifyTime ? { changed: `${formatTime(node.modifyTime)} (${formatAge(node.modifyTime, Date.now())})` } : {}),
    id: node.id,
  };
}
