import type { Transaction } from '#kernel/database/database.ts';
import { type FolderRow, type FolderSums, sumsBelow } from './rows.ts';

/** What the files directly in each folder add up to: collected while files are written, and then written once per folder. */
export class OwnSums {
  readonly #tx: Transaction;
  /** What the files of a folder add up to more or less than its row says. */
  readonly #owed = new Map<number, { files: number; bytes: number }>();

  constructor(tx: Transaction) {
    this.#tx = tx;
  }

  add(folder: number, files: number, bytes: number): void {
    const owed = this.#owed.get(folder) ?? { files: 0, bytes: 0 };
    owed.files += files;
    owed.bytes += bytes;
    this.#owed.set(folder, owed);
  }

  /** Files that a folder has more than its row says. */
  owedFiles(folder: number): number {
    return this.#owed.get(folder)?.files ?? 0;
  }

  /** Of all files below a folder. */
  async below({ pos, last }: FolderRow): Promise<FolderSums> {
    await this.settle();
    const sums = await this.#tx.get<FolderSums>(sumsBelow, pos, last);
    return { files: sums?.files ?? 0, bytes: sums?.bytes ?? 0 };
  }

  async settle(): Promise<void> {
    const owed = [...this.#owed].filter(([, { files, bytes }]) => files !== 0 || bytes !== 0);
    this.#owed.clear();
    if (this.#tx.sqlite) {
      const sql = 'update folders set own_files = own_files + $2, own_bytes = own_bytes + $3 where id = $1';
      for (const [id, { files, bytes }] of owed) this.#tx.sqlite.run(sql, id, files, bytes);
    } else if (owed.length > 0) {
      await this.#tx.run(
        `update folders set own_files = own_files + r.files, own_bytes = own_bytes + r.bytes
         from json_to_recordset($1::json) as r(id bigint, files bigint, bytes bigint) where folders.id = r.id`,
        JSON.stringify(owed.map(([id, sums]) => ({ id, ...sums }))),
      );
    }
  }
}
