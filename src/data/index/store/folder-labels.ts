import type { Transaction } from '#kernel/database/database.ts';
import { type LabelRun, labelsBetween } from '#lib/sparse-labels.ts';
import { parentOf } from '#lib/tree-path.ts';
import type { FolderRows } from './folder-rows.ts';
import { freeLabels, type LabelledFolder, labelAfter, makeRoom, relabel } from './labels.ts';
import type { FolderRow } from './rows.ts';

/** Which labels folders get, so that they stay in tree order and inside those around them. Renumbers others when there is no room. */
export class FolderLabels {
  readonly #tx: Transaction;
  readonly #folders: FolderRows;

  constructor(tx: Transaction, folders: FolderRows) {
    this.#tx = tx;
    this.#folders = folders;
  }

  /** A label for a new folder of that name. */
  async take(parent: FolderRow, name: string): Promise<number> {
    return (await this.takeMany(parent, name, 1)).first;
  }

  /** Labels for a new folder of that name and those below it, `count` together. */
  async takeMany(parent: FolderRow, name: string, count: number): Promise<LabelRun> {
    const low = await this.#folders.endBefore(parent, name, 0);
    const run = await freeLabels(this.#tx, low, count);
    if (run) return run;
    await this.#makeRoom(low, count);
    const place = await this.#folders.endBefore(await this.#folders.byId(parent.id), name, 0);
    return assertRoom(await freeLabels(this.#tx, place, count));
  }

  /** Gives a folder and all below it labels by which it is the one of that name in `target`. */
  async moveTo(folder: FolderRow, target: FolderRow, name: string): Promise<void> {
    await this.#folders.settle();
    const low = await this.#folders.endBefore(target, name, folder.id);
    const high = await labelAfter(this.#tx, low);
    if (high === folder.pos) return;
    const width = folder.last - folder.pos;
    const run = labelsBetween(low, high, 1);
    if (run && run.first + width < high) {
      const sql = 'update folders set pos = pos + $1, last = last + $1 where pos between $2 and $3';
      await this.#tx.run(sql, run.first - folder.pos, folder.pos, folder.last);
      return;
    }
    let rows = await this.#withAllBelow(folder);
    let labels = labelsBetween(low, high, rows.length);
    if (!labels) {
      await this.#makeRoom(low, rows.length);
      rows = await this.#withAllBelow(await this.#folders.byId(folder.id));
      const place = await this.#folders.endBefore(await this.#folders.byId(target.id), name, folder.id);
      labels = assertRoom(await freeLabels(this.#tx, place, rows.length));
    }
    const { first, step } = labels;
    await relabel(
      this.#tx,
      rows,
      rows.map((_, at) => first + at * step),
      Number.POSITIVE_INFINITY,
    );
  }

  /** Makes the intervals of a folder and those around it reach a label. */
  async growTo(path: string, label: number): Promise<void> {
    for (let at = path; ; at = parentOf(at)) {
      const row = await this.#folders.find(at);
      if (!row || row.last >= label) return;
      this.#folders.setEnd(at, row, label);
      if (at === '') return;
    }
  }

  /** All rows read before are void after this. */
  async #makeRoom(label: number, count: number): Promise<void> {
    await this.#folders.settle();
    await makeRoom(this.#tx, label, count);
    this.#folders.forgetAll();
  }

  async #withAllBelow({ pos, last }: LabelledFolder): Promise<LabelledFolder[]> {
    const sql = 'select id, parent, pos, last from folders where pos between $1 and $2 order by pos';
    return this.#tx.all<LabelledFolder>(sql, pos, last);
  }
}

function assertRoom<T>(labels: T | undefined): T {
  if (!labels) throw new Error('Renumbering the index made no room');
  return labels;
}
