import type { ListedVersion, VersionPage, VersionQuery } from '#s3/backend.ts';
import type { VersionRow } from '../store/store.ts';
import type { BucketDisk } from './bucket-disk.ts';
import { createCurrents } from './currents.ts';
import { walkFolder } from './folder-walk.ts';
import { createHardSource, type HardObject } from './hard-source.ts';
import { type Candidate, nextCandidate, walkSource } from './key-source.ts';
import { type ObjectFinder, versionIdOf } from './object-finder.ts';
import { createVersionSource } from './version-source.ts';

/** A key of a page and its versions that are not current, the newest first, as far as they may be on the page. */
interface Gathered extends Candidate {
  readonly rows: readonly VersionRow[];
}

/** One page of all versions: by key, of a key the newest first. */
export async function listVersions(disk: BucketDisk, finder: ObjectFinder, query: VersionQuery): Promise<VersionPage> {
  const { prefix, after, afterVersionId, limit } = query;
  const hard = createHardSource(disk, prefix, after);
  const plain = walkSource(walkFolder(disk.names, prefix, after));
  const kept = createVersionSource(disk, prefix, after, limit + 2);
  const hardObjects = new Map<string, HardObject>();
  const entries: (ListedVersion | string)[] = [];
  if (afterVersionId !== undefined && after.startsWith(prefix)) {
    entries.push(...(await olderOf(disk, finder, after, afterVersionId, limit + 1)));
  }
  for (let isEnd = false; entries.length <= limit && !isEnd; ) {
    const gathered: Gathered[] = [];
    for (let count = entries.length; count <= limit; ) {
      let rows: readonly VersionRow[] = [];
      const next = nextCandidate([plain, hard, kept], query, (key, having) => {
        if (having.includes(hard)) hardObjects.set(key, hard.current());
        if (having.includes(kept)) rows = kept.rows();
      });
      const candidate = next instanceof Promise ? await next : next;
      isEnd = candidate === undefined;
      if (!candidate) break;
      gathered.push({ ...candidate, rows });
      count += 1 + rows.length;
    }
    const { lines, versionIds } = await createCurrents(disk, gathered, hardObjects);
    for (const [at, { key, isPrefix, rows }] of gathered.entries()) {
      if (isPrefix) {
        entries.push(key);
        continue;
      }
      const [line, currentId] = [lines[at], versionIds[at]];
      if (line && currentId) entries.push({ ...line, versionId: currentId, isLatest: true, isDeleteMarker: false });
      for (const [index, row] of rows.entries()) {
        if (row.versionId !== currentId) entries.push(lineOf(row, index === 0 && !line));
      }
    }
  }
  return pageOf(entries, limit);
}

/** What is older of a key than one of its versions. When there is none with that id, it was deleted meanwhile: all of the rest then. */
async function olderOf(
  disk: BucketDisk,
  finder: ObjectFinder,
  key: string,
  versionId: string,
  limit: number,
): Promise<readonly ListedVersion[]> {
  const current = await finder.find(key);
  const currentId = current && versionIdOf(current);
  const marker = versionId === currentId ? undefined : await disk.store.findVersion(disk.bucket, key, versionId);
  const order = marker?.order ?? Number.MAX_SAFE_INTEGER;
  const rows = (await disk.store.versions(disk.bucket, key, { key, order }, limit)).filter((row) => row.key === key);
  return rows.filter((row) => row.versionId !== currentId).map((row, index) => lineOf(row, index === 0 && !marker && !current));
}

/** Of a key without a current object the newest version is the latest only when it is a delete marker: its file was removed by others else. */
function lineOf(
  { key, versionId, isDeleteMarker, sizeBytes, mtimeMs, etag, owner, storageClass, checksums }: VersionRow,
  isNewest: boolean,
): ListedVersion {
  return {
    ...{ key, versionId, sizeBytes, mtimeMs, etag, checksums, isDeleteMarker, isLatest: isNewest && isDeleteMarker },
    ...(owner ? { owner } : {}),
    ...(storageClass ? { storageClass } : {}),
  };
}

function pageOf(entries: readonly (ListedVersion | string)[], limit: number): VersionPage {
  const shown = entries.slice(0, limit);
  const last = shown.at(-1);
  const next = typeof last === 'string' ? { key: last } : last && { key: last.key, versionId: last.versionId };
  return {
    versions: shown.filter((entry) => typeof entry !== 'string'),
    commonPrefixes: shown.filter((entry) => typeof entry === 'string'),
    next: entries.length > limit ? next : undefined,
  };
}
