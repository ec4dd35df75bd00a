/**
 * A program that is killed at any moment: it applies batch after batch, each with its number as the position of the storage. Argument: the
 * database's URL. Writes a dot per batch. The test applies the same batches to another index.
 */
import { openDatabase } from '#kernel/database/open.ts';
import { silentLog } from '#kernel/log.ts';
import { createTreeStore } from './sql.ts';
import type { StoredEntry, TreeChange } from './store.ts';

const entry: StoredEntry = { isFolder: false, sizeBytes: 3, mtimeUs: 1, inode: 1, etag: '' };

/** Batch 1, 2, 3 ... : new files, and what came two and three batches ago is moved, copied or deleted. */
export function changesOf(batch: number): TreeChange[] {
  const puts = Array.from({ length: 150 }, (_, at): TreeChange => {
    const path = `b${batch % 7}/${batch}/d${at % 11}/f${at}`;
    return { kind: 'put', path, entry: { ...entry, sizeBytes: at } };
  });
  const older = batch - 2;
  if (older < 1) return puts;
  const path = `b${older % 7}/${older}`;
  const last: TreeChange =
    batch % 3 === 0
      ? { kind: 'delete', path }
      : { kind: batch % 3 === 1 ? 'move' : 'copy', path, newPath: `t${batch % 4}/${batch}` };
  return [...puts.slice(0, 75), last, ...puts.slice(75)];
}

if (import.meta.main) {
  const database = openDatabase({ url: process.argv[2] ?? '', name: 'index', log: silentLog });
  const store = createTreeStore(database);
  for (let batch = (await store.state()).sourcePosition + 1; ; batch++) {
    await store.apply(database, changesOf(batch), { sourcePosition: batch });
    process.stdout.write('.');
  }
}
