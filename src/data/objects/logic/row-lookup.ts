import type { ObjectRow, ObjectStore } from '../store/store.ts';

/** The row of one state of one key, among those that were looked up. */
export type RowLookup = (key: string, stamp: string) => ObjectRow | undefined;

/** Fewer keys in a row are looked up one by one. */
const runMin = 16;

/**
 * Looks up the rows of many keys, given as runs: what lies between the first and the last key of a run is mostly in it, so the rows are read
 * as a range.
 */
export async function lookUpRows(store: ObjectStore, bucket: string, runs: readonly (readonly string[])[]): Promise<RowLookup> {
  const found = new Map<string, ObjectRow | ObjectRow[]>();
  const add = (row: ObjectRow): void => {
    const other = found.get(row.key);
    if (other === undefined) found.set(row.key, row);
    else if (Array.isArray(other)) other.push(row);
    else found.set(row.key, [other, row]);
  };
  const single: string[] = [];
  for (const run of runs) {
    const [first, last] = [run[0], run.at(-1)];
    if (run.length < runMin || first === undefined || last === undefined) {
      single.push(...run);
      continue;
    }
    const limit = run.length * 3 + 100;
    const rows = await store.range(bucket, first, last, limit);
    for (const row of rows) add(row);
    // Too much in between, such as the rows of what other programs removed.
    if (rows.length === limit) single.push(...run.slice(Math.max(0, run.indexOf(rows.at(-1)!.key))));
  }
  if (single.length > 0) for (const row of await store.findMany(bucket, single)) add(row);
  return (key, stamp) => {
    const rows = found.get(key);
    if (rows === undefined) return undefined;
    return Array.isArray(rows) ? rows.find((row) => row.stamp === stamp) : rows.stamp === stamp ? rows : undefined;
  };
}
