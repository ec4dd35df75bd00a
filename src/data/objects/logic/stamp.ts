import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';

/** Tells the states of a file apart without reading it; of a folder only its identity, since its times change with its entries. */
export const stampOf = (stats: BigIntStats): string =>
  stats.isDirectory() ? `folder-${stats.ino}` : `${stats.size}-${stats.mtimeNs}-${stats.ino}`;

/**
 * The ETag of a file that another program wrote: stable while the file does not change, and with a dash, so that no client
 * takes it for the MD5 of the content. Listings never have to read files.
 */
export const opaqueEtag = (stamp: string): string => `${createHash('md5').update(stamp).digest('hex')}-0`;

export const mtimeMsOf = (stats: BigIntStats): number => Number(stats.mtimeNs / 1_000_000n);
