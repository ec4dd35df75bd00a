import { notFound } from '#kernel/fault.ts';
import type { ObjectChanges, ObjectInfo } from '#s3/backend.ts';
import type { ObjectRow, StoredObject, VersionRow } from '../store/store.ts';
import type { BucketDisk } from './bucket-disk.ts';
import { noSuchKey } from './fs.ts';
import { type FoundObject, type ObjectFinder, versionIdOf } from './object-finder.ts';
import { describeVersion } from './object-info.ts';
import type { ObjectReader } from './object-reader.ts';

/** Changes what is kept of an object beside its bytes, whether it is the current version or another one. */
export async function updateObject(
  { disk, finder, reader }: { readonly disk: BucketDisk; readonly finder: ObjectFinder; readonly reader: ObjectReader },
  key: string,
  versionId: string | undefined,
  change: (current: ObjectInfo) => ObjectChanges,
): Promise<ObjectInfo> {
  const { bucket, store } = disk;
  return await disk.committing([key], async () => {
    const current = await finder.find(key);
    if (current && (versionId === undefined || versionIdOf(current) === versionId)) {
      const before = finder.infoOf(current);
      const row = changed(rowOf(current, before), change(before));
      await disk.write([{ kind: 'put', row }]);
      return finder.infoOf({ ...current, row });
    }
    const row = versionId === undefined ? undefined : await store.findVersion(bucket, key, versionId);
    if (row && !row.isDeleteMarker && (!current || versionIdOf(current) !== row.versionId)) {
      const after: VersionRow = changed(row, change(describeVersion(row)));
      await disk.write([{ kind: 'update_version', row: after }]);
      return describeVersion(after);
    }
    if (versionId === undefined || row?.isDeleteMarker) await reader.assertNoMarker(key, versionId);
    if (versionId === undefined) throw noSuchKey(key);
    throw notFound(`There is no version ${JSON.stringify(versionId)} of ${JSON.stringify(key)}`, { reason: 'no_such_version' });
  });
}

function changed<T extends StoredObject>(row: T, changes: ObjectChanges): T {
  const next = { ...row } as unknown as Record<string, unknown>;
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) delete next[name];
    else next[name] = value;
  }
  return next as unknown as T;
}

/** The row of an object; a file of another program has none yet. */
function rowOf({ key, kind, stamp, row }: FoundObject, { etag }: ObjectInfo): ObjectRow {
  if (row) return row;
  return { key, stamp, kind: kind === 'folder' ? 'marker' : 'object', etag, headers: {}, checksums: {} };
}
