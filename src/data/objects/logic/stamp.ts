import type { BigIntStats } from 'node:fs';
import type { Volume } from '../../volume.ts';

/** Tells the states of a file apart without reading it; of a folder only its identity, since its times change with its entries. */
export const stampOf = (stats: BigIntStats): string =>
  stats.isDirectory() ? `folder-${stats.ino}` : `${stats.size}-${stats.mtimeNs}-${stats.ino}`;

/** Where inodes are made up, and others after the next mount, none: what is kept of a file must be found again. */
export function statsOn({ hasInodes }: Volume, stats: BigIntStats): BigIntStats {
  if (!hasInodes) stats.ino = 0n;
  return stats;
}

export const mtimeMsOf = (stats: BigIntStats): number => Number(stats.mtimeNs / 1_000_000n);
