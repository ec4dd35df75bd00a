import type { BigIntStats } from 'node:fs';

/** Tells the states of a file apart without reading it; of a folder only its identity, since its times change with its entries. */
export const stampOf = (stats: BigIntStats): string =>
  stats.isDirectory() ? `folder-${stats.ino}` : `${stats.size}-${stats.mtimeNs}-${stats.ino}`;

export const mtimeMsOf = (stats: BigIntStats): number => Number(stats.mtimeNs / 1_000_000n);
