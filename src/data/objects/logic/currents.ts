import { setImmediate } from 'node:timers/promises';
import { isSystemError } from '#lib/system-error.ts';
import type { ListedObject } from '#s3/backend.ts';
import type { ObjectRow } from '../store/store.ts';
import type { BucketDisk } from './bucket-disk.ts';
import type { HardObject } from './hard-source.ts';
import type { Candidate } from './key-source.ts';
import { listed } from './object-info.ts';
import { lookUpRows, type RowLookup } from './row-lookup.ts';
import { stampOf } from './stamp.ts';

/** The current object of a key as a listing tells it. */
export interface Current {
  readonly line: ListedObject;
  readonly row: ObjectRow | undefined;
}

/** How many files are looked at before others get their turn, about a millisecond's worth. */
const sliceSize = 256;

/**
 * The current objects of the keys of a page, one for each candidate; the first source of those is the walk. Keys may turn out to have none: a file that is gone, a folder nobody asked for.
 * Files are looked at without a promise each: there are a thousand on a page.
 */
export async function createCurrents(
  disk: BucketDisk,
  candidates: readonly Candidate[],
  hardObjects: ReadonlyMap<string, HardObject>,
): Promise<readonly (Current | undefined)[]> {
  const rowOf = await lookUpRows(disk.store, disk.bucket, runsOf(candidates));
  const found: (Current | undefined)[] = [];
  let looked = 0;
  for (let index = 0; index < candidates.length; index++) {
    const { key, isPrefix, isFirst } = candidates[index]!;
    if (isPrefix) {
      found.push(undefined);
      continue;
    }
    if (++looked % sliceSize === 0) await setImmediate();
    // Even an empty map makes its key one of the engine's known texts, which costs a quarter of looking at the file.
    const hard = hardObjects.size === 0 ? undefined : hardObjects.get(key);
    const isFolder = key.endsWith('/');
    const isPlain = isFirst && !(isFolder && hard);
    const looking = !isPlain
      ? undefined
      : isFolder
        ? folderOf(disk, key, rowOf, isInside(candidates[index + 1], key))
        : fileOf(disk, key, rowOf);
    const plain = looking instanceof Promise ? await looking : looking;
    found.push(plain ?? hardOf(key, hard));
  }
  return found;
}

const hardOf = (key: string, hard: HardObject | undefined): Current | undefined =>
  hard && { line: listed(key, hard.stats, hard.row), row: hard.row };

/** Whether the walk has just found a file or folder in this one. */
const isInside = (next: Candidate | undefined, folder: string): boolean => next?.isFirst === true && next.key.startsWith(folder);

function fileOf(disk: BucketDisk, key: string, rowOf: RowLookup): Current | undefined {
  const stats = disk.lookAt(`${disk.root}/${key}`);
  if (!stats?.isFile()) return undefined;
  const row = rowOf(key, stampOf(stats));
  return { line: listed(key, stats, row), row };
}

/** A promise only where nobody has looked into the folder. */
function folderOf(
  disk: BucketDisk,
  key: string,
  rowOf: RowLookup,
  isInhabited: boolean,
): Current | undefined | Promise<Current | undefined> {
  const stats = disk.lookAt(`${disk.root}/${key.slice(0, -1)}`);
  if (!stats?.isDirectory()) return undefined;
  const row = rowOf(key, stampOf(stats));
  if (row?.kind === 'implicit' || (!row && isInhabited)) return undefined;
  const current = { line: listed(key, stats, row), row };
  return row ? current : isEmpty(disk, key).then((is) => (is ? current : undefined));
}

async function isEmpty({ names }: BucketDisk, key: string): Promise<boolean> {
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
