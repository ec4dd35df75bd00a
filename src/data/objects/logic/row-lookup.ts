import { compareUtf8 } from '#lib/utf8-order.ts';
import type { ObjectRow, ObjectStore } from '../store/store.ts';

/** The row of one state of one key, among those that were looked up. */
export type RowLookup = (key: string, stamp: string) => ObjectRow | undefined;

/** Fewer keys in a row are looked up one by one. */
const runMin = 16;

/**
 * Looks up the rows of many keys, given as runs: what lies between the first and the last key of a run is mostly in it, so the rows are read
 * as a range. The look-up is to be asked in the order of the keys.
 */
export async function lookUpRows(store: ObjectStore, bucket: string, runs: readonly (readonly string[])[]): Promise<RowLookup> {
  const ranges: ObjectRow[][] = [];
  const singleKeys: string[] = [];
  for (const run of runs) {
    const [first, last] = [run[0], run.at(-1)];
    if (run.length < runMin || first === undefined || last === undefined) {
      singleKeys.push(...run);
      continue;
    }
    const limit = run.length * 3 + 100;
    const rows = await store.range(bucket, first, last, limit);
    const lastRow = rows.at(-1);
    if (rows.length === limit && lastRow) {
      // Too much in between, such as the rows of what other programs removed. The last key may have more rows than were read.
      const rest = run.findIndex((key) => compareUtf8(key, lastRow.key) >= 0);
      singleKeys.push(...run.slice(rest));
      ranges.push(rows.filter(({ key }) => key !== lastRow.key));
    } else {
      ranges.push([...rows]);
    }
  }
  const singles = new Map<string, ObjectRow>();
  if (singleKeys.length > 0) {
    for (const row of await store.findMany(bucket, singleKeys)) singles.set(`${row.key}\n${row.stamp}`, row);
  }
  const sorted = ranges.flat();
  let at = 0;
  return (key, stamp) => {
    while (at < sorted.length && sorted[at]!.key !== key && compareUtf8(sorted[at]!.key, key) < 0) at += 1;
    for (let index = at; sorted[index]?.key === key; index++) if (sorted[index]!.stamp === stamp) return sorted[index];
    return singles.size === 0 ? undefined : singles.get(`${key}\n${stamp}`);
  };
}
