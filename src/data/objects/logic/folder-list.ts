import type { ListedObject, ListPage, ListQuery } from '#s3/backend.ts';
import type { BucketDisk } from './bucket-disk.ts';
import { createCurrents } from './currents.ts';
import { walkFolder } from './folder-walk.ts';
import { createHardSource, type HardObject } from './hard-source.ts';
import { type Candidate, type KeySource, nextCandidate, walkSource } from './key-source.ts';

/**
 * One page of a bucket's keys in the order of their UTF-8 bytes.
 * Files are looked at, never read, and only those on the page.
 */
export async function listFolder(
  disk: BucketDisk,
  query: ListQuery & { readonly isPlainOnly?: true /** Without hard keys. */ },
): Promise<ListPage> {
  const { prefix, after, limit } = query;
  const hard = createHardSource(disk, prefix, after);
  const plain = walkSource(walkFolder(disk.names, prefix, after));
  const sources = disk.hasHardKeys && !query.isPlainOnly ? [plain, hard] : [plain];
  const hardObjects = new Map<string, HardObject>();
  const onKey = (key: string, having: readonly KeySource[]): void => {
    if (having.includes(hard)) hardObjects.set(key, hard.current());
  };
  const objects: ListedObject[] = [];
  const commonPrefixes: string[] = [];
  let last: string | undefined;
  let count = 0;
  for (let isEnd = false; count <= limit && !isEnd; ) {
    const candidates: Candidate[] = [];
    // Most folders are no objects, so some more are looked at than the page has room for.
    for (let [room, folders] = [limit - count, limit / 4]; candidates.length <= room; ) {
      const next = nextCandidate(sources, query, onKey);
      const candidate = next instanceof Promise ? await next : next;
      isEnd = candidate === undefined;
      if (!candidate) break;
      candidates.push(candidate);
      if (!candidate.isPrefix && candidate.key.endsWith('/') && --folders >= 0) room += 1;
    }
    const { lines } = await createCurrents(disk, candidates, hardObjects);
    for (const [index, { key, isPrefix }] of candidates.entries()) {
      const line = lines[index];
      if (!isPrefix && !line) continue;
      count += 1;
      if (count > limit) return { objects, commonPrefixes, next: last };
      last = key;
      if (line) objects.push(line);
      else commonPrefixes.push(key);
    }
  }
  return { objects, commonPrefixes, next: undefined };
}
