import type { SqlValue, Transaction } from '#kernel/database/database.ts';
import { nameOf } from '#lib/tree-path.ts';
import { compareUtf8 } from '#lib/utf8-order.ts';
import type { FilePut } from './file-run.ts';
import { fileValues, insertFileValues } from './insert-rows.ts';
import { rankedFilesMin } from './migrations.ts';
import type { OwnSums } from './own-sums.ts';
import { type FileRow, type FolderRow, fileColumns, fileNode } from './rows.ts';
import type { StoredEntry, TreeEvent } from './store.ts';

export interface FileWriterOptions {
  readonly tx: Transaction;
  readonly sums: OwnSums;
  readonly newId: () => number;
  /** True for a folder that was made in this transaction. */
  readonly isNew: (folder: number) => boolean;
  /** Called when the row of a folder has become that of a large one. */
  readonly onRanked: (folder: number) => void;
  /** Called for each file that really changed. */
  readonly onEvent: (event: TreeEvent) => void;
}

const updateFile = 'update files set size = $3, mtime_us = $4, inode = $5, etag = $6 where folder = $1 and name = $2';

/** Values of new files that wait to be written together: 1,024 rows. */
const waitingMax = 8192;

/** Changes files in one open transaction. New ones are collected and written together: end with `flush`. */
export class FileWriter {
  readonly #options: FileWriterOptions;
  /** Values of rows, one after the other. */
  #waiting: SqlValue[] = [];
  /** The folders of those. */
  readonly #waitingFolders = new Set<number>();
  /** Folders into which files were put. */
  readonly #touched = new Set<number>();

  constructor(options: FileWriterOptions) {
    this.#options = options;
  }

  async find(folder: FolderRow, name: string): Promise<FileRow | undefined> {
    if (this.#isEmpty(folder)) return undefined;
    if (this.#waitingFolders.has(folder.id)) await this.flush();
    const sql = `select ${fileColumns} from files where folder = $1 and name = $2`;
    return this.#options.tx.get<FileRow>(sql, folder.id, name);
  }

  /** Puts files into a folder, each name once and none that of a folder there. */
  async put(folder: FolderRow, puts: readonly FilePut[]): Promise<void> {
    const { sums, newId, onEvent } = this.#options;
    const known = this.#isEmpty(folder) ? undefined : await this.#named(folder.id, puts);
    this.#touched.add(folder.id);
    const more = { files: 0, bytes: 0 };
    const updated: (readonly [string, StoredEntry])[] = [];
    for (const { path, name, entry } of puts) {
      const { sizeBytes, mtimeUs, inode } = entry;
      const row = known?.get(name);
      if (!row) {
        const id = newId();
        more.files += 1;
        more.bytes += sizeBytes;
        this.#waiting.push(folder.id, name, id, sizeBytes, mtimeUs, inode, entry.etag, folder.isRanked);
        onEvent({ kind: 'created', node: { id, path, isFolder: false, sizeBytes, mtimeUs, inode, etag: entry.etag, files: 0 } });
        continue;
      }
      const isSame = row.size === sizeBytes && row.mtimeUs === mtimeUs && row.inode === inode;
      const etag = entry.etag === '' && isSame ? row.etag : entry.etag;
      if (isSame && etag === row.etag) continue;
      more.bytes += sizeBytes - row.size;
      const stored = { ...entry, etag };
      updated.push([name, stored]);
      if (!isSame || row.etag !== '') onEvent({ kind: 'updated', node: { ...stored, id: row.id, path, files: 0 } });
    }
    if (more.files > 0) this.#waitingFolders.add(folder.id);
    sums.add(folder.id, more.files, more.bytes);
    if (updated.length > 0) await this.#update(folder.id, updated);
    if (!folder.isRanked && folder.ownFiles + sums.owedFiles(folder.id) > rankedFilesMin) await this.#rank(folder.id);
    else if (this.#waiting.length >= waitingMax) await this.flush();
  }

  async delete(folder: FolderRow, path: string, file: FileRow): Promise<void> {
    const { tx, sums, onEvent } = this.#options;
    await this.flush();
    await tx.run('delete from files where folder = $1 and name = $2', folder.id, nameOf(path));
    sums.add(folder.id, -1, -file.size);
    onEvent({ kind: 'deleted', node: fileNode(file, path) });
  }

  async move(file: FileRow, from: FolderRow, oldPath: string, to: FolderRow, path: string): Promise<void> {
    const { tx, sums, onEvent } = this.#options;
    await this.flush();
    const sql = 'update files set folder = $3, name = $4, is_ranked = $5 where folder = $1 and name = $2';
    await tx.run(sql, from.id, nameOf(oldPath), to.id, nameOf(path), to.isRanked);
    this.#touched.add(to.id);
    sums.add(from.id, -1, -file.size);
    sums.add(to.id, 1, file.size);
    onEvent({ kind: 'moved', node: fileNode(file, path), oldPath });
  }

  /**
   * Copies the files of folders into others that are empty; `to` has the id of the copy in the place of each of `from`.
   * Result: how many there were. Ids come from `firstId` on.
   */
  async copyAll(from: readonly number[], to: readonly number[], firstId: number): Promise<number> {
    const { tx } = this.#options;
    const [pairs, first] = tx.sqlite
      ? ['(select value ->> 0 as source, value ->> 1 as target from json_each($1))', '$2']
      : [
          '(select (value ->> 0)::bigint as source, (value ->> 1)::bigint as target from json_array_elements($1::json))',
          '$2::bigint',
        ];
    const { changes } = await tx.run(
      `insert into files (${fileValues})
       select p.target, f.name, ${first} - 1 + row_number() over (order by p.target, f.name), f.size, f.mtime_us, 0, f.etag, f.is_ranked
       from ${pairs} p join files f on f.folder = p.source`,
      JSON.stringify(from.map((source, at) => [source, to[at]])),
      firstId,
    );
    for (const folder of to) this.#touched.add(folder);
    return changes;
  }

  /** Writes the new files that wait. */
  async flush(): Promise<void> {
    if (this.#waiting.length === 0) return;
    const values = this.#waiting;
    this.#waiting = [];
    this.#waitingFolders.clear();
    await insertFileValues(this.#options.tx, values);
  }

  #isEmpty({ id }: FolderRow): boolean {
    return this.#options.isNew(id) && !this.#touched.has(id);
  }

  /** What is known under the names of a run. Runs mostly come in order, so a range of names tells cheaply that there is nothing yet. */
  async #named(folder: number, puts: readonly FilePut[]): Promise<ReadonlyMap<string, FileRow>> {
    const { tx } = this.#options;
    if (this.#waitingFolders.has(folder)) await this.flush();
    let [low, high] = [puts[0]?.name ?? '', puts[0]?.name ?? ''];
    for (const { name } of puts) {
      if (compareUtf8(name, low) < 0) low = name;
      if (compareUtf8(name, high) > 0) high = name;
    }
    const select = `select ${fileColumns} from files where folder = $1 and name`;
    const limit = 2 * puts.length + 10;
    let rows = await tx.all<FileRow>(`${select} between $2 and $3 limit $4`, folder, low, high, limit);
    if (rows.length === limit) {
      const names = JSON.stringify(puts.map(({ name }) => name));
      const list = tx.sqlite ? 'select value from json_each($2)' : 'select json_array_elements_text($2::json) collate "C"';
      rows = await tx.all<FileRow>(`${select} in (${list})`, folder, names);
    }
    return new Map(rows.map((row) => [row.name, row]));
  }

  async #update(folder: number, updated: readonly (readonly [string, StoredEntry])[]): Promise<void> {
    const { tx } = this.#options;
    await this.flush();
    if (tx.sqlite) {
      for (const [name, { sizeBytes, mtimeUs, inode, etag }] of updated)
        tx.sqlite.run(updateFile, folder, name, sizeBytes, mtimeUs, inode, etag);
      return;
    }
    const records = updated.map(([name, { sizeBytes, mtimeUs, inode, etag }]) => ({
      ...{ name, size: sizeBytes, mtime_us: mtimeUs, inode: String(inode), etag },
    }));
    await tx.run(
      `update files set size = r.size, mtime_us = r.mtime_us, inode = r.inode, etag = r.etag
       from json_to_recordset($2::json) as r(name text, size bigint, mtime_us bigint, inode bigint, etag text)
       where files.folder = $1 and files.name = r.name collate "C"`,
      folder,
      JSON.stringify(records),
    );
  }

  /** The folder is large from now on. */
  async #rank(folder: number): Promise<void> {
    const { tx } = this.#options;
    await this.flush();
    await tx.run('update files set is_ranked = 1 where folder = $1', folder);
    await tx.run('update folders set is_ranked = 1 where id = $1', folder);
    this.#options.onRanked(folder);
  }
}
