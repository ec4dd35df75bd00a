import { folderEmpty, folderOther } from './decisions.ts';
import type { DeleteLimits } from './delete-limits.ts';
import { look } from './disk.ts';
import type { KnownTree } from './known-tree.ts';
import type { RootFolder } from './root-folder.ts';

export interface MeantOptions {
  readonly root: RootFolder;
  /** Of the folder as it is now. */
  readonly inode: number;
  readonly known: KnownTree;
  readonly limits: DeleteLimits;
}

/**
 * Asserts that the datasource's folder may be taken for the one that the index knows: when a disk is missing, its mount point is empty, or
 * something else has been put there. Errors: `folder_missing`, `folder_empty`, `folder_other`; those of the index.
 */
export async function assertMeant({ root, inode, known, limits }: MeantOptions): Promise<void> {
  const [[top], total] = await Promise.all([known.find(['']), known.total()]);
  if (total === 0) return;
  const isOther = (top?.entry?.inode ?? 0) !== 0 && top?.entry?.inode !== inode;
  if ((isOther || total > limits.askAboveDeletes) && (await root.isEmpty())) throw folderEmpty(root.path, total);
  if (!isOther) return;
  const names = await known.topNames();
  const isFamiliar = names.some((name) => typeof look(root.path, name) === 'object');
  if (!isFamiliar) throw folderOther(root.path, total);
}
