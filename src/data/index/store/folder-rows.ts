import type { Transaction } from '#kernel/database/database.ts';
import { nameOf, parentOf } from '#lib/tree-path.ts';
import { type FolderRow, folderColumns, rootId } from './rows.ts';

/** How many folders are remembered in one transaction. */
const foldersMax = 10_000;

/** The folders of one transaction by path, remembered as long as their labels hold. Ends of intervals are written late: end with `settle`. */
export class FolderRows {
  readonly #tx: Transaction;
  readonly #rows = new Map<string, FolderRow>();
  /** Folders made in this transaction that have no folders in them. */
  readonly #childless = new Set<number>();
  /** Ends of intervals by folder, where the rows in the database are behind. */
  readonly #ends = new Map<number, number>();

  constructor(tx: Transaction) {
    this.#tx = tx;
  }

  async find(path: string): Promise<FolderRow | undefined> {
    const known = this.#rows.get(path);
    if (known) return known;
    if (path === '')
      return this.#loaded('', await this.#tx.get<FolderRow>(`select ${folderColumns} from folders where id = ${rootId}`));
    const parentPath = parentOf(path);
    const parent = await this.find(parentPath);
    return parent && (await this.child(parent, parentPath, nameOf(path)));
  }

  async child(parent: FolderRow, parentPath: string, name: string): Promise<FolderRow | undefined> {
    const path = parentPath === '' ? name : `${parentPath}/${name}`;
    const known = this.#rows.get(path);
    if (known || this.#childless.has(parent.id)) return known;
    const sql = `select ${folderColumns} from folders where parent = $1 and name = $2`;
    return this.#loaded(path, await this.#tx.get<FolderRow>(sql, parent.id, `${name}/`));
  }

  /** Those of some names that folders in this folder have. */
  async childrenAmong(parent: FolderRow, names: readonly string[]): Promise<readonly string[]> {
    if (!(await this.hasChildren(parent))) return [];
    const list = this.#tx.sqlite
      ? "select value || '/' from json_each($2)"
      : `select (json_array_elements_text($2::json) || '/') collate "C"`;
    const sql = `select name from folders where parent = $1 and name in (${list})`;
    const rows = await this.#tx.all<{ name: string }>(sql, parent.id, JSON.stringify(names));
    return rows.map(({ name }) => name.slice(0, -1));
  }

  async hasChildren({ id }: FolderRow): Promise<boolean> {
    if (this.#childless.has(id)) return false;
    return (await this.#tx.get('select id from folders where parent = $1 limit 1', id)) !== undefined;
  }

  /** The end of the last folder before a name; that of its parent's label when there is none. */
  async endBefore(parent: Pick<FolderRow, 'id' | 'pos'>, name: string, except: number): Promise<number> {
    if (this.#childless.has(parent.id)) return parent.pos;
    const before = await this.#tx.get<{ id: number; last: number }>(
      'select id, last from folders where parent = $1 and name < $2 and id <> $3 order by name desc limit 1',
      parent.id,
      name,
      except,
    );
    return before ? Math.max(before.last, this.#ends.get(before.id) ?? 0) : parent.pos;
  }

  /** As it is now, of one that is there. */
  async byId(id: number): Promise<FolderRow> {
    const row = await this.#tx.get<FolderRow>(`select ${folderColumns} from folders where id = $1`, id);
    if (!row) throw new Error(`The index lost folder ${id} while changing it`);
    return this.#withEnd(row);
  }

  remember(path: string, row: FolderRow): void {
    if (this.#rows.size >= foldersMax) this.#rows.clear();
    this.#rows.set(path, row);
  }

  /** A folder was made. */
  rememberNew(path: string, row: FolderRow): void {
    this.remember(path, row);
    this.#childless.add(row.id);
    this.#childless.delete(row.parent);
  }

  /** A folder has come into this one. */
  noteChild(parent: number): void {
    this.#childless.delete(parent);
  }

  /** Moves the end of a folder's interval. */
  setEnd(path: string, row: FolderRow, last: number): void {
    this.#ends.set(row.id, last);
    this.remember(path, { ...row, last });
  }

  /** Writes what is late. Needed before labels are changed by statements. */
  async settle(): Promise<void> {
    const ends = [...this.#ends];
    this.#ends.clear();
    if (this.#tx.sqlite) {
      for (const [id, last] of ends) this.#tx.sqlite.run('update folders set last = $2 where id = $1', id, last);
    } else if (ends.length > 0) {
      await this.#tx.run(
        'update folders set last = r.last from json_to_recordset($1::json) as r(id bigint, last bigint) where folders.id = r.id',
        JSON.stringify(ends.map(([id, last]) => ({ id, last }))),
      );
    }
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
    if (!row) return undefined;
    const current = this.#withEnd(row);
    this.remember(path, current);
    return current;
  }

  #withEnd(row: FolderRow): FolderRow {
    const last = this.#ends.get(row.id);
    return last === undefined ? row : { ...row, last };
  }
}
