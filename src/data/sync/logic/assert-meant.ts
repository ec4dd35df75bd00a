import { folderEmpty, folderOther, type Subject } from './decisions.ts';
import type { DeleteLimits } from './delete-limits.ts';
import type { KnownTree } from './known-tree.ts';
import type { Storage } from './storage.ts';

export interface MeantOptions {
  readonly subject: Subject;
  readonly storage: Storage;
  /** Of the folder as it is now. */
  readonly inode: number;
  readonly known: KnownTree;
  readonly limits: DeleteLimits;
}

/**
 * Asserts that the datasource's folder may be taken for the one that the index knows: when a disk is missing, its mount point is empty, or
 * something else has been put there. Errors: `folder_missing`, `folder_empty`, `folder_other`; those of the index.
 */
export async function assertMeant({ subject, storage, inode, known, limits }: MeantOptions): Promise<void> {
  const [[top], total] = await Promise.all([known.find(['']), known.total()]);
  if (total === 0) return;
  const isOther = (top?.entry?.inode ?? 0) !== 0 && top?.entry?.inode !== inode;
  if ((isOther || total > limits.askAboveDeletes) && (await storage.root.isEmpty())) throw folderEmpty(subject, total);
  if (!isOther) return;
  const seen = await storage.look(await known.topNames());
  if (!seen.some((one) => typeof one === 'object')) throw folderOther(subject, total);
}
