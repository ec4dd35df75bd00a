import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { rest } from '#lib/rest.ts';
import type { ObjectRow } from '../store/store.ts';
import type { FolderBucket } from './folder-bucket.ts';
import { lookAt, readdir, readFile } from './fs.ts';
import { keyFileName } from './kept-versions.ts';
import { hardPath, plainPath, privateFolder } from './key-path.ts';
import { stampOf } from './stamp.ts';

export interface CollectOptions {
  /** Rejects when the bucket's folder is not where it should be: nothing may be concluded then. */
  readonly assertThere: () => Promise<unknown>;
  /** How long a file has to be gone before its row is; it may lie on a disk that comes back. Unit: milliseconds. */
  readonly graceMs: number;
  /** Between two batches of rows; others have the disk meanwhile. Unit: milliseconds. */
  readonly pauseMs: number;
  readonly signal: AbortSignal;
}

const batchSize = 500;
/** Files noted as gone; what is more has to wait for a later pass. */
const goneMax = 100_000;

/** What other programs do to files leaves rows behind. One pass looks at every row of a bucket and removes what is of no use. */
export class RowCollector {
  readonly #bucket: FolderBucket;
  /** When a state of a file was first found to be gone. */
  #gone = new Map<string, number>();

  constructor(bucket: FolderBucket) {
    this.#bucket = bucket;
  }

  /** Result: how many rows were removed or found again. */
  async collect({ assertThere, graceMs, pauseMs, signal }: CollectOptions): Promise<number> {
    const { bucket, now, store, volume } = this.#bucket.disk;
    // It decides which states of files are the same.
    if (!volume.isKnown) return 0;
    const gone = new Map<string, number>();
    let count = await this.#findHardKeys(signal);
    for (let last = { key: '', stamp: '' }, isEnd = false; !isEnd; ) {
      await assertThere();
      const rows = await store.after(bucket, last.key, last.stamp, batchSize);
      isEnd = rows.length < batchSize;
      last = rows.at(-1) ?? last;
      for (const row of rows) {
        const state = this.#look(row);
        const name = `${row.key}\n${row.stamp}`;
        const sinceMs = this.#gone.get(name) ?? now();
        if (state === 'gone' && gone.size < goneMax) gone.set(name, sinceMs);
        if (state === 'other' || (state === 'gone' && now() - sinceMs >= graceMs)) count += await this.#remove(row, assertThere);
        if (state === 'there' && row.kind === 'implicit') count += await this.#prune(row.key);
      }
      await rest(pauseMs, signal);
      signal.throwIfAborted();
    }
    this.#gone = gone;
    return count;
  }

  /** Whether a row is of what lies at its key now; `other`: something else does. */
  #look({ key, kind, stamp }: ObjectRow): 'there' | 'other' | 'gone' {
    const path = kind === 'hard' ? hardPath(key) : plainPath(key);
    const names = path && [...path.folders, path.name];
    const { disk } = this.#bucket;
    const stats = names && disk.spelling.isExact(names) ? disk.lookAt(join(disk.root, ...names)) : undefined;
    if (!stats) return 'gone';
    return stampOf(stats) === stamp ? 'there' : 'other';
  }

  async #remove(row: ObjectRow, assertThere: () => Promise<unknown>): Promise<number> {
    const { disk } = this.#bucket;
    return await disk.committing([row.key], async () => {
      // Now that nobody writes there.
      await assertThere();
      if (this.#look(row) === 'there') return 0;
      await disk.write([{ kind: 'remove_state', key: row.key, stamp: row.stamp }]);
      return 1;
    });
  }

  /** A folder that was made on the way to a write which was cut off, or whose last file another program removed. */
  async #prune(key: string): Promise<number> {
    const { disk } = this.#bucket;
    const folders = key.slice(0, -1).split('/');
    using folder = disk.place.find(folders);
    if (!folder || (await readdir(folder.at('.'))).length > 0) return 0;
    return await disk.committing([key], async () => {
      const pruned = await disk.place.prune(folders);
      await disk.recordDeleted(pruned);
      return pruned.length;
    });
  }

  /** Contents of hard keys whose rows were lost say themselves whose they are. */
  async #findHardKeys(signal: AbortSignal): Promise<number> {
    const { disk, finder } = this.#bucket;
    let count = 0;
    const base = [privateFolder, 'keys'];
    for (const part of await namesIn(disk.place.find(base))) {
      await setImmediate(undefined, { signal });
      using folder = disk.place.find([...base, part]);
      if (!folder) continue;
      for (const name of await readdir(folder.at('.'))) {
        if (name.includes('.') || !lookAt(folder.at(`${name}.${keyFileName}`))) continue;
        const key = await readFile(folder.at(`${name}.${keyFileName}`), 'utf8');
        if (hardPath(key).name !== name) continue;
        count += await disk.committing([key], async () => {
          const stats = disk.lookAt(folder.at(name));
          const stamp = stats && stampOf(stats);
          if (!stats?.isFile() || !stamp || (await disk.store.find(disk.bucket, key, stamp))) return 0;
          disk.hasHardKeys = true;
          await disk.write([{ kind: 'put', row: { key, stamp, kind: 'hard', etag: '', headers: {}, checksums: {} } }]);
          return (await finder.find(key)) ? 1 : 0;
        });
      }
    }
    return count;
  }
}

async function namesIn(folder: (Disposable & { at(name: string): string }) | undefined): Promise<readonly string[]> {
  if (!folder) return [];
  using open = folder;
  return await readdir(open.at('.'));
}
