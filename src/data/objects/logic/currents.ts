import type { BigIntStats } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { isSystemError } from '#lib/system-error.ts';
import type { ListedObject } from '#s3/backend.ts';
import type { ObjectRow } from '../store/store.ts';
import type { BucketDisk } from './bucket-disk.ts';
import type { HardObject } from './hard-source.ts';
import type { Candidate } from './key-source.ts';
import { listed } from './object-info.ts';
import { lookUpRows } from './row-lookup.ts';
import { stampOf } from './stamp.ts';

/** The current objects of the keys of a page, by the index of their candidate. No object for each: there are a thousand on a page. */
export interface Currents {
  readonly lines: (ListedObject | undefined)[];
  /** Where there is a line: `null` (the word) for the version without an id. */
  readonly versionIds: (string | undefined)[];
}

/** How many files are looked at before others get their turn, about a millisecond's worth. */
const sliceSize = 256;

/**
 * Looks at the keys of a page; the first source of the candidates is the walk. Keys may turn out to have no object: a file that is gone, a
 * folder nobody asked for. Files are looked at without a promise each.
 */
export async function createCurrents(
  disk: BucketDisk,
  candidates: readonly Candidate[],
  hardObjects: ReadonlyMap<string, HardObject>,
): Promise<Currents> {
  const rowOf = await lookUpRows(disk.store, disk.bucket, runsOf(candidates));
  const lines = new Array<ListedObject | undefined>(candidates.length).fill(undefined);
  const versionIds = new Array<string | undefined>(candidates.length).fill(undefined);
  let looked = 0;
  for (let index = 0; index < candidates.length; index++) {
    const { key, isPrefix, isFirst } = candidates[index]!;
    if (isPrefix) continue;
    if (++looked % sliceSize === 0) await setImmediate();
    // Even an empty map makes its key one of the engine's known texts, which costs a quarter of looking at the file.
    const hard = hardObjects.size === 0 ? undefined : hardObjects.get(key);
    const isFolder = key.endsWith('/');
    let stats: BigIntStats | undefined;
    let row: ObjectRow | undefined;
    if (isFirst && !(isFolder && hard)) {
      stats = isFolder ? folderAt(disk, key) : fileAt(disk, key);
      row = stats && rowOf(key, stampOf(stats));
      if (stats && isFolder && (row ? row.kind === 'implicit' : !(await isEmpty(disk, key, candidates[index + 1]))))
        stats = undefined;
    }
    if (!stats && hard) ({ stats, row } = hard);
    if (!stats) continue;
    lines[index] = listed(key, stats, row);
    versionIds[index] = row?.versionId ?? 'null';
  }
  return { lines, versionIds };
}

function fileAt(disk: BucketDisk, key: string): BigIntStats | undefined {
  const stats = disk.lookAt(`${disk.root}/${key}`);
  return stats?.isFile() ? stats : undefined;
}

function folderAt(disk: BucketDisk, key: string): BigIntStats | undefined {
  const stats = disk.lookAt(`${disk.root}/${key.slice(0, -1)}`);
  return stats?.isDirectory() ? stats : undefined;
}

/** Mostly the walk has just found the next key in the folder, and nobody needs to look. */
async function isEmpty({ names }: BucketDisk, key: string, next: Candidate | undefined): Promise<boolean> {
  if (next?.isFirst && next.key.startsWith(key)) return false;
  try {
    return (await names.of(key.slice(0, -1).split('/'))).length === 0;
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return false;
    throw error;
  }
}

/** Keys that follow each other with no group between them. */
function runsOf(candidates: readonly Candidate[]): string[][] {
  const runs: string[][] = [[]];
  for (const { key, isPrefix } of candidates) {
    if (!isPrefix) runs.at(-1)!.push(key);
    else if (runs.at(-1)!.length > 0) runs.push([]);
  }
  return runs;
}
