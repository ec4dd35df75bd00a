import type { CliContext } from '../command.ts';
import { formatBytes, plural } from '../output/format.ts';
import { parseRemotePath, showRemote } from '../remote-path.ts';
import { isFolder, lookUp, treeOf } from './tree.ts';

export interface RemoveOptions {
  readonly recursive?: boolean;
  readonly force?: boolean;
  readonly yes?: boolean;
}

export async function removeFiles(context: CliContext, texts: readonly string[], options: RemoveOptions): Promise<void> {
  const { output, signal } = context;
  const { recursive = false, force = false } = options;
  const tree = await treeOf(context);
  const removed: string[] = [];
  for (const path of texts.map(parseRemotePath)) {
    const node = force ? await lookUp(tree, path, signal) : await tree.stat({ path }, { signal });
    if (!node) continue;
    // Without a terminal -r has said it.
    if (recursive && isFolder(node) && node.files > 0n && context.input.isTTY) {
      await context.confirm(
        `Delete ${showRemote(path)} with ${plural(node.files, 'file')}, ${formatBytes(node.sizeBytes)}?`,
        options.yes,
      );
    }
    await tree.delete({ path, recursive }, { signal });
    removed.push(path);
    output.message(`Deleted ${showRemote(path)}.`);
  }
  if (output.isJson) output.result({ deleted: removed }, () => '');
}
