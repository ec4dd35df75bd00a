import type { CliContext } from '../command.ts';
import { parseRemotePath } from '../remote-path.ts';
import { treeOf } from './tree.ts';

export async function printFiles(context: CliContext, texts: readonly string[]): Promise<void> {
  const tree = await treeOf(context);
  for (const path of texts.map(parseRemotePath)) {
    for await (const { data } of tree.download({ path }, { signal: context.signal })) await context.output.write(data);
  }
}
