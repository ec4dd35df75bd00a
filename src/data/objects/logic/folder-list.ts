import { join } from 'node:path';
import { isSystemError } from '#lib/system-error.ts';
import { compareUtf8 } from '#lib/utf8-order.ts';
import type { ListedObject, ListPage, ListQuery } from '#s3/backend.ts';
import type { ObjectRow, ObjectStore } from '../store/store.ts';
import type { FolderNames } from './folder-names.ts';
import { walkFolder } from './folder-walk.ts';
import { statsOf } from './fs.ts';
import { describe } from './object-info.ts';
import { stampOf } from './stamp.ts';

export interface ListParts {
  readonly bucket: string;
  readonly root: string;
  readonly store: ObjectStore;
  readonly names: FolderNames;
}

/** A group of keys, or a key that may turn out to be no object: a file that is gone, a folder nobody asked for. */
interface Candidate {
  readonly key: string;
  readonly isPrefix: boolean;
}

/**
 * One page of a bucket's keys in the order of their UTF-8 bytes.
 * Files are looked at, never read, and only those on the page.
 */
export async function listFolder(parts: ListParts, query: ListQuery): Promise<ListPage> {
  const { prefix, after, limit } = query;
  const walk = walkFolder(parts.names, prefix, after);
  const found: (ListedObject | string)[] = [];
  for (let isEnd = false; found.length <= limit && !isEnd; ) {
    const candidates: Candidate[] = [];
    while (candidates.length <= limit - found.length) {
      const key = await walk.next();
      isEnd = key === undefined;
      if (key === undefined) break;
      const group = groupOf(key, query);
      if (group !== undefined) walk.skip(group);
      // A group that comes before `after` was on an earlier page, even when some of its keys come later.
      if (group === undefined || compareUtf8(group, after) > 0)
        candidates.push({ key: group ?? key, isPrefix: group !== undefined });
    }
    found.push(...(await resolve(parts, candidates)));
  }
  const page = found.slice(0, limit);
  const last = page.at(-1);
  return {
    objects: page.filter((item) => typeof item !== 'string'),
    commonPrefixes: page.filter((item) => typeof item === 'string'),
    next: found.length > limit ? (typeof last === 'string' ? last : last?.key) : undefined,
  };
}

function groupOf(key: string, { prefix, delimiter }: ListQuery): string | undefined {
  const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : key.slice(0, at + delimiter.length);
}

async function resolve(parts: ListParts, candidates: readonly Candidate[]): Promise<readonly (ListedObject | string)[]> {
  const keys = candidates.filter(({ isPrefix }) => !isPrefix).map(({ key }) => key);
  const [rows, stats] = await Promise.all([
    rowsOf(parts, keys),
    Promise.all(keys.map((key) => statsOf(pathOf(parts.root, key)))),
  ]);
  const objects = new Map<string, ListedObject>();
  for (const [index, key] of keys.entries()) {
    const state = stats[index];
    if (!state || key.endsWith('/') !== state.isDirectory()) continue;
    const row = rows.get(`${key}\n${stampOf(state)}`);
    if (key.endsWith('/') && (row?.kind === 'implicit' || (!row && !(await isEmpty(parts, key))))) continue;
    objects.set(key, describe(key, state, row));
  }
  return candidates.map(({ key, isPrefix }) => (isPrefix ? key : objects.get(key))).filter((item) => item !== undefined);
}

async function rowsOf({ bucket, store }: ListParts, keys: readonly string[]): Promise<ReadonlyMap<string, ObjectRow>> {
  const rows = keys.length === 0 ? [] : await store.findMany(bucket, keys);
  return new Map(rows.map((row) => [`${row.key}\n${row.stamp}`, row]));
}

function pathOf(root: string, key: string): string {
  return join(root, key.endsWith('/') ? key.slice(0, -1) : key);
}

async function isEmpty({ names }: ListParts, key: string): Promise<boolean> {
  try {
    return (await names.of(key.slice(0, -1).split('/'))).length === 0;
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return false;
    throw error;
  }
}
