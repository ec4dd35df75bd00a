import type { BigIntStats } from 'node:fs';
import { join } from 'node:path';
import { compareUtf8 } from '#lib/utf8-order.ts';
import type { ObjectRow } from '../store/store.ts';
import type { BucketDisk } from './bucket-disk.ts';
import { hardPath } from './key-path.ts';
import type { KeySource } from './key-source.ts';
import { stampOf } from './stamp.ts';

export interface HardObject {
  readonly row: ObjectRow;
  readonly stats: BigIntStats;
}

/** The hard keys of a bucket that have content. */
export interface HardSource extends KeySource {
  /** The object of the key that is next. */
  current(): HardObject;
}

const batchMax = 500;

export function createHardSource(disk: BucketDisk, prefix: string, after: string): HardSource {
  const { bucket, store, root } = disk;
  let rows: readonly ObjectRow[] = [];
  let index = 0;
  let last = after;
  let isEnd = !disk.hasHardKeys;
  let found: HardObject | undefined;

  function look(row: ObjectRow): HardObject | undefined {
    const { folders, name } = hardPath(row.key);
    const stats = disk.lookAt(join(root, ...folders, name));
    return stats?.isFile() && stampOf(stats) === row.stamp ? { row, stats } : undefined;
  }

  function advance(): string | undefined | Promise<string | undefined> {
    while (!found) {
      const row = rows[index];
      if (!row) return isEnd ? undefined : fill();
      index += 1;
      last = row.key;
      found = look(row);
    }
    return found.row.key;
  }

  async function fill(): Promise<string | undefined> {
    rows = await store.hardKeys(bucket, prefix, last, batchMax);
    // One key may have rows of several states; a batch must not end between them.
    const lastKey = rows.at(-1)?.key;
    isEnd = rows.length < batchMax;
    if (!isEnd && rows[0]?.key !== lastKey) rows = rows.filter(({ key }) => key !== lastKey);
    index = 0;
    return await advance();
  }

  return {
    peek: advance,
    take() {
      const taken = found?.row.key;
      found = undefined;
      while (rows[index]?.key === taken && taken !== undefined) index += 1;
    },
    skip(skipped) {
      if (found?.row.key.startsWith(skipped)) found = undefined;
      while (rows[index]?.key.startsWith(skipped)) index += 1;
      const end = `${skipped}\u{10ffff}`;
      if (!rows[index] && compareUtf8(end, last) > 0) last = end;
    },
    current: () => found!,
  };
}
