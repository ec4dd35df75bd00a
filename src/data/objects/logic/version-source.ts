import { compareUtf8 } from '#lib/utf8-order.ts';
import type { VersionRow } from '../store/store.ts';
import type { BucketDisk } from './bucket-disk.ts';
import type { KeySource } from './key-source.ts';

/** The keys of a bucket that have versions which are not current, with those. */
export interface VersionSource extends KeySource {
  /** Rows of the next key, the newest first; at least `size` when there are as many. */
  rows(): readonly VersionRow[];
}

const batchMin = 200;

/** `size`: how many rows of one key are wanted at most. */
export function createVersionSource(disk: BucketDisk, prefix: string, after: string, size: number): VersionSource {
  const { bucket, store } = disk;
  let rows: readonly VersionRow[] = [];
  let index = 0;
  let last = after;
  let isEnd = false;

  async function fill(): Promise<string | undefined> {
    const batchMax = Math.max(size, batchMin) + 1;
    rows = await store.versions(bucket, prefix, { key: last }, batchMax);
    isEnd = rows.length < batchMax;
    const lastKey = rows.at(-1)?.key;
    // A batch ends with a whole key, unless it is all of one.
    if (!isEnd && rows[0]?.key !== lastKey) rows = rows.filter(({ key }) => key !== lastKey);
    index = 0;
    last = rows.at(-1)?.key ?? last;
    return rows[0]?.key;
  }

  /** Index after the rows of the key at `index`. */
  function endOfKey(): number {
    const key = rows[index]?.key;
    let end = index;
    while (end < rows.length && rows[end]?.key === key) end += 1;
    return end;
  }

  return {
    peek: () => rows[index]?.key ?? (isEnd ? undefined : fill()),
    rows: () => rows.slice(index, endOfKey()),
    take() {
      index = endOfKey();
    },
    skip(skipped) {
      while (rows[index]?.key.startsWith(skipped)) index += 1;
      const end = `${skipped}\u{10ffff}`;
      if (!rows[index] && compareUtf8(end, last) > 0) last = end;
    },
  };
}
