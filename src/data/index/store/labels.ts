import type { Transaction } from '#kernel/database/database.ts';
import { exhausted } from '#kernel/fault.ts';
import { type LabelRun, labelMax, labelStride, labelsBetween } from '#lib/sparse-labels.ts';

export interface LabelledFolder {
  readonly id: number;
  readonly parent: number;
  readonly pos: number;
  readonly last: number;
}

/** A window is taken when renumbering leaves at least this distance between its folders, so that the next insertions are cheap. */
const distanceMin = 1024;
const windowFirst = 64;

/** The first label after one that is in use. */
export async function labelAfter(tx: Transaction, label: number): Promise<number> {
  const next = await tx.get<{ pos: number }>('select pos from folders where pos > $1 order by pos limit 1', label);
  return next?.pos ?? labelMax;
}

/** Free labels right after `low`, which is in use; `undefined` when there is no room and `makeRoom` is due. */
export async function freeLabels(
  tx: Transaction,
  low: number,
  count: number,
): Promise<(LabelRun & { high: number }) | undefined> {
  const high = await labelAfter(tx, low);
  const run = labelsBetween(low, high, count);
  return run && { ...run, high };
}

/**
 * Renumbers the folders around a label so that `count` more fit right after it: the smallest window whose folders keep a fair distance.
 * All labels read before are void after this.
 */
export async function makeRoom(tx: Transaction, label: number, count: number): Promise<void> {
  for (let size = windowFirst; ; size *= 8) {
    const select = 'select id, parent, pos, last from folders where pos';
    const before = await tx.all<LabelledFolder>(`${select} <= $1 order by pos desc limit $2`, label, size);
    const behind = await tx.all<LabelledFolder>(`${select} > $1 order by pos limit $2`, label, size);
    const [isFromStart, isToEnd] = [before.length < size, behind.length < size];
    const low = isFromStart ? -1 : (before.pop()?.pos ?? -1);
    const high = isToEnd ? labelMax : (behind.pop()?.pos ?? labelMax);
    const rows = [...before.reverse(), ...behind];
    const step = Math.min(labelStride, Math.floor((high - low - 1) / (rows.length + count + 1)));
    if (step < distanceMin && !(isFromStart && isToEnd)) continue;
    if (step < 1) throw exhausted('The index has no room for more folders', { reason: 'labels_exhausted' });
    const labels = rows.map((_, at) => low + step * (at + 1 + (at < before.length ? 0 : count)));
    await relabel(tx, rows, labels, high);
    await moveOuterEnds(tx, rows, labels, high);
    return;
  }
}

/**
 * Gives folders, in the order of their labels, new ones; the ends of their intervals follow. `high` is a label behind them all. Folders
 * around them are left as they are.
 */
export async function relabel(
  tx: Transaction,
  rows: readonly LabelledFolder[],
  labels: readonly number[],
  high: number,
): Promise<void> {
  const renamed = rows.map(({ id, last }, at) => ({ id, pos: labels[at] as number, last: mapLabel(rows, labels, high, last) }));
  if (tx.sqlite) {
    for (const { id, pos, last } of renamed) tx.sqlite.run('update folders set pos = $2, last = $3 where id = $1', id, pos, last);
    return;
  }
  await tx.run(
    `update folders set pos = r.pos, last = r.last
     from json_to_recordset($1::json) as r(id bigint, pos bigint, last bigint) where folders.id = r.id`,
    JSON.stringify(renamed),
  );
}

/** The new label of the last row at or before a label, since an interval may end beyond the folder that its end was made for. */
function mapLabel(rows: readonly LabelledFolder[], labels: readonly number[], high: number, label: number): number {
  if (label >= high) return label;
  let [from, to] = [0, rows.length - 1];
  while (from < to) {
    const middle = (from + to + 1) >> 1;
    if ((rows[middle] as LabelledFolder).pos <= label) from = middle;
    else to = middle - 1;
  }
  return labels[from] as number;
}

/** Moves the ends of those folders outside a renumbered window whose intervals end in it: only those around its first row can. */
async function moveOuterEnds(
  tx: Transaction,
  rows: readonly LabelledFolder[],
  labels: readonly number[],
  high: number,
): Promise<void> {
  const first = rows[0];
  for (let id = first?.parent ?? 0; first && id !== 0; ) {
    const row: LabelledFolder | undefined = await tx.get<LabelledFolder>(
      'select id, parent, pos, last from folders where id = $1',
      id,
    );
    if (!row) return;
    if (row.last < high) await tx.run('update folders set last = $2 where id = $1', id, mapLabel(rows, labels, high, row.last));
    id = row.parent;
  }
}
