import { toJson } from '@bufbuild/protobuf';
import { type Node, NodeSchema } from '#gen/cellar/data/v1/node_pb.ts';
import { alreadyExists, notFound } from '#kernel/fault.ts';
import { parentOf } from '#lib/tree-path.ts';
import type { CliContext } from '../command.ts';
import { parseRemotePath, showRemote } from '../remote-path.ts';
import { lookUp, treeOf } from './tree.ts';

/** The server makes missing parents; without `parents` they are a mistake, as with `mkdir` everywhere. */
export async function makeFolders(context: CliContext, texts: readonly string[], options: { parents?: boolean }): Promise<void> {
  const { output, signal } = context;
  const tree = await treeOf(context);
  const made: Node[] = [];
  for (const path of texts.map(parseRemotePath)) {
    if (!options.parents) {
      if (await lookUp(tree, path, signal)) throw alreadyExists(`Cannot make ${showRemote(path)}: it exists already`);
      const parent = parentOf(path);
      if (parent !== '' && !(await lookUp(tree, parent, signal))) {
        throw notFound(`Cannot make ${showRemote(path)}: ${showRemote(parent)} does not exist`, {
          hint: 'Add -p to make it too.',
        });
      }
    }
    made.push(await tree.makeFolder({ path }, { signal }));
    output.message(`Made ${showRemote(path)}.`);
  }
  if (output.isJson) {
    const json = made.map((node) => toJson(NodeSchema, node, { alwaysEmitImplicit: true }));
    output.result(json, () => '');
  }
}
