import type { Transaction } from '#kernel/database/database.ts';
import { nameOf, parentOf } from '#lib/tree-path.ts';
import { type FolderRow, folderColumns } from './rows.ts';

/** How many folders are remembered in one transaction. */
const foldersMax = 10_000;

/** The folders of one transaction by path, remembered as long as their labels hold. */
export class FolderRows {
  readonly #tx: Transaction;
  readonly #rows = new Map<string, FolderRow>();

  constructor(tx: Transaction) {
    this.#tx = tx;
  }

  async find(path: string): Promise<FolderRow | undefined> {
    const known = this.#rows.get(path);
    if (known) return known;
    if (path === '')
      return this.#loaded('', await this.#tx.get<FolderRow>(`select ${folderColumns} from folders where parent = 0`));
    const parentPath = parentOf(path);
    const parent = await this.find(parentPath);
    return parent && (await this.child(parent, parentPath, nameOf(path)));
  }

  async child(parent: FolderRow, parentPath: string, name: string): Promise<FolderRow | undefined> {
    const path = parentPath === '' ? name : `${parentPath}/${name}`;
    const sql = `select ${folderColumns} from folders where parent = $1 and name = $2`;
    return this.#rows.get(path) ?? this.#loaded(path, await this.#tx.get<FolderRow>(sql, parent.id, `${name}/`));
  }

  async hasChildren(parent: FolderRow): Promise<boolean> {
    return (await this.#tx.get('select id from folders where parent = $1 limit 1', parent.id)) !== undefined;
  }

  /** As it is now, of one that is there. */
  async byId(id: number): Promise<FolderRow> {
    const row = await this.#tx.get<FolderRow>(`select ${folderColumns} from folders where id = $1`, id);
    if (!row) throw new Error(`The index lost folder ${id} while changing it`);
    return row;
  }

  remember(path: string, row: FolderRow): void {
    if (this.#rows.size >= foldersMax) this.#rows.clear();
    this.#rows.set(path, row);
  }

  /** A folder and all below are gone. */
  forget(path: string): void {
    for (const known of this.#rows.keys()) if (known === path || known.startsWith(`${path}/`)) this.#rows.delete(known);
  }

  /** Labels or paths have changed. */
  forgetAll(): void {
    this.#rows.clear();
  }

  #loaded(path: string, row: FolderRow | undefined): FolderRow | undefined {
    if (row) this.remember(path, row);
    return row;
  }
}
