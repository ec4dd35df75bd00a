import type { Intent, StoreChange } from '../store/store.ts';
import type { FolderBucket } from './folder-bucket.ts';
import { dropHard } from './key-place.ts';
import { versionIdOf } from './object-finder.ts';

/**
 * Brings a change to its end that was cut off by a kill: when the file at the key is no longer the one from before, what remained is done,
 * else it never was. Also removes what such a change left of rows and contents. May be repeated.
 */
export async function recoverKey(bucket: FolderBucket, { key, stamp, rest }: Intent): Promise<void> {
  const { disk, finder } = bucket;
  await disk.committing(key, async () => {
    const isDone = finder.stampAt(key) !== stamp;
    if (isDone) {
      await disk.store.write(disk.bucket, rest);
      await recordAgain(bucket, key, rest);
    }
    await settle(bucket, key);
    await disk.store.write(disk.bucket, [{ kind: 'end', key }]);
  });
}

/** Rows of states that are not on the disk, versions that are current as well, contents that have no row. */
async function settle({ disk, finder, kept }: FolderBucket, key: string): Promise<void> {
  const current = await finder.find(key);
  const changes: StoreChange[] = [];
  if (!current || current.kind === 'folder') changes.push({ kind: 'remove', key });
  else changes.push({ kind: 'prune', key, stamp: current.stamp });
  if (current) changes.push({ kind: 'remove_version', key, versionId: versionIdOf(current) });
  await disk.store.write(disk.bucket, changes);
  if (current?.kind === 'file' && disk.hasHardKeys) await dropHard(disk, key);
  await kept.tidy(key);
}

/** The change may not have been told before; told twice it does no harm. */
async function recordAgain({ disk, finder }: FolderBucket, key: string, rest: readonly StoreChange[]): Promise<void> {
  const current = await finder.find(key);
  if (current) {
    const { sizeBytes, mtimeMs, etag } = finder.infoOf(current);
    const isHard = current.kind === 'hard' ? { isHard: true as const } : {};
    await disk.record({ key, kind: current.kind === 'folder' ? 'mkdir' : 'put', sizeBytes, mtimeMs, etag, ...isHard });
  } else if (!key.endsWith('/')) {
    await disk.recordDeleted([key]);
  }
  for (const change of rest) {
    if (change.kind === 'remove' && change.key !== key) await disk.recordDeleted([change.key]);
    if (change.kind === 'remove_tree') await disk.recordDeleted([change.prefix]);
  }
}
