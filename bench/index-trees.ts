import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StoredEntry, TreeChange } from '../src/data/index/store/store.ts';
import type { Database } from '../src/kernel/database/database.ts';
import { openDatabase } from '../src/kernel/database/open.ts';
import { silentLog } from '../src/kernel/log.ts';

/** Files of each folder at the bottom of the benchmarks' tree; folders are in three levels above them. */
export const filesPerFolder = 19;

const entry = (at: number, isFolder: boolean): StoredEntry => ({
  isFolder,
  sizeBytes: isFolder ? 0 : (at * 7919) % 100_000,
  mtimeUs: 1_700_000_000_000_000 + ((at * 104_729) % 1_000_000_000) * 1000,
  inode: 10_000_000 + at,
  etag: '',
});

const number = (value: number): string => String(value).padStart(3, '0');

/** A tree of so many files and folders, in tree order, in batches as sync sends them. */
export function* treeBatches(nodes: number, batch: number, top = ''): Generator<TreeChange[]> {
  let changes: TreeChange[] = [];
  for (let at = 0; at < nodes; at++) {
    const folder = Math.floor(at / (filesPerFolder + 1));
    const path = `${top}t${number(Math.floor(folder / 2500))}/u${number(Math.floor(folder / 50) % 50)}/d${number(folder % 50)}`;
    const place = at % (filesPerFolder + 1);
    const isFolder = place === 0;
    changes.push({ kind: 'put', path: isFolder ? path : `${path}/file-${number(place)}.txt`, entry: entry(at, isFolder) });
    if (changes.length < batch) continue;
    yield changes;
    changes = [];
  }
  if (changes.length > 0) yield changes;
}

/** Files of one folder, in the order of their names. */
export function* folderBatches(files: number, batch: number, path: string): Generator<TreeChange[]> {
  for (let from = 0; from < files; from += batch) {
    yield Array.from({ length: Math.min(batch, files - from) }, (_, offset) => ({
      kind: 'put',
      path: `${path}/file-${String(from + offset).padStart(8, '0')}.txt`,
      entry: entry(from + offset, false),
    }));
  }
}

/** A new SQLite database with the settings of every service's, removed at the end. */
export function temporaryDatabase(): { readonly database: Database; readonly end: () => Promise<void> } {
  const folder = mkdtempSync(join(tmpdir(), 'cellar-bench-'));
  const database = openDatabase({ url: `sqlite:${folder}/`, name: 'index', log: silentLog });
  return {
    database,
    end: async () => {
      await database.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Unit of the result: milliseconds. */
export async function timed(task: () => Promise<unknown> | unknown): Promise<number> {
  const startMs = performance.now();
  await task();
  return performance.now() - startMs;
}
