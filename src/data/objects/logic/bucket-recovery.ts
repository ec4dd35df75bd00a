import type { Intent, StoreChange } from '../store/store.ts';
import type { FolderBucket } from './folder-bucket.ts';
import { dropHard } from './key-place.ts';
import { versionIdOf } from './object-finder.ts';

type RecoveryParts = Pick<FolderBucket, 'disk' | 'finder' | 'kept'>;

/**
 * Brings a change to its end that was cut off by a kill: when the file at the key is no longer the one from before, what remained is done,
 * else it never was. Also removes what such a change left of rows and contents. May be repeated; nobody else is at the key.
 */
export async function recoverKey(bucket: RecoveryParts, { key, stamp, rest }: Intent): Promise<void> {
  const { disk, finder } = bucket;
  if (finder.stampAt(key) !== stamp) {
    await disk.write(rest);
    await recordAgain(bucket, key, rest);
  }
  await settle(bucket, key);
  await disk.write([{ kind: 'end', key }]);
}

/** Rows of states that are not on the disk, versions that are current as well, contents that have no row. */
async function settle({ disk, finder, kept }: RecoveryParts, key: string): Promise<void> {
  const current = await finder.find(key);
  const changes: StoreChange[] = [];
  if (!current || current.kind === 'folder') changes.push({ kind: 'remove', key });
  else changes.push({ kind: 'prune', key, stamp: current.stamp });
  if (current) changes.push({ kind: 'remove_version', key, versionId: versionIdOf(current) });
  await disk.write(changes);
  if (current?.kind === 'file' && disk.hasHardKeys) await dropHard(disk, key);
  await kept.tidy(key);
}

/** The change may not have been told before; told twice it does no harm. */
async function recordAgain({ disk, finder }: RecoveryParts, key: string, rest: readonly StoreChange[]): Promise<void> {
  const current = await finder.find(key);
  if (current) {
    const { sizeBytes: plainSizeBytes, mtimeMs, etag } = finder.infoOf(current);
    const sizeBytes = current.kind === 'folder' ? 0 : Number(current.stats.size);
    const isHard = current.kind === 'hard' ? { isHard: true as const } : {};
    await disk.record({
      key,
      kind: current.kind === 'folder' ? 'mkdir' : 'put',
      sizeBytes,
      plainSizeBytes,
      mtimeMs,
      etag,
      ...isHard,
    });
  } else if (!key.endsWith('/')) {
    await disk.recordDeleted([key]);
  }
  for (const change of rest) {
    if (change.kind === 'remove' && change.key !== key) await disk.recordDeleted([change.key]);
    if (change.kind === 'remove_tree') await disk.recordDeleted([change.prefix]);
  }
}
