import { toJson } from '@bufbuild/protobuf';
import { type Node, NodeSchema } from '#gen/cellar/data/v1/node_pb.ts';
import { invalidArgument } from '#kernel/fault.ts';
import { nameOf } from '#lib/tree-path.ts';
import type { CliContext } from '../command.ts';
import { joinRemote, parseRemotePath, showRemote } from '../remote-path.ts';
import { isFolder, lookUp, treeOf } from './tree.ts';

export async function moveFiles(context: CliContext, texts: readonly string[], options: { force?: boolean }): Promise<void> {
  const last = texts.at(-1) ?? '';
  const sources = texts.slice(0, -1).map(parseRemotePath);
  if (sources.length === 0) throw invalidArgument('Cannot move: a source and a target are needed');
  const tree = await treeOf(context);
  const target = parseRemotePath(last);
  const found = target === '' ? undefined : await lookUp(tree, target, context.signal);
  const isInto = target === '' || last.endsWith('/') || (found !== undefined && isFolder(found));
  if (sources.length > 1 && !isInto) throw invalidArgument(`Cannot move several into ${showRemote(target)}: it is not a folder`);
  const moved: Node[] = [];
  for (const path of sources) {
    const to = isInto ? joinRemote(target, nameOf(path)) : target;
    moved.push(await tree.move({ path, target: to, overwrite: options.force ?? false }, { signal: context.signal }));
    context.output.message(`Moved ${showRemote(path)} to ${showRemote(to)}.`);
  }
  if (context.output.isJson) {
    const json = moved.map((node) => toJson(NodeSchema, node, { alwaysEmitImplicit: true }));
    context.output.result(json, () => '');
  }
}
