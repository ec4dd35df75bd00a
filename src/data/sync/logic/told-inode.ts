import type { Stats } from 'node:fs';
import type { Volume } from '../../volume.ts';

/**
 * The inode that the index is told; 0 where a volume makes them up. Of the datasource's folder itself, which has to be known again while it
 * is mounted, the number of its disk then.
 */
export function toldInode(
  path: string,
  { ino, dev }: Pick<Stats, 'ino' | 'dev'>,
  { hasInodes }: Pick<Volume, 'hasInodes'>,
): number {
  return hasInodes ? ino : path === '' ? dev : 0;
}
