import type { Transaction } from '#kernel/database/database.ts';
import { nameOf } from '#lib/tree-path.ts';
import type { FilePut } from './file-run.ts';
import type { OwnSums } from './own-sums.ts';
import { type FileRow, type FolderRow, fileColumns, fileNode } from './rows.ts';
import type { StoredEntry, TreeEvent } from './store.ts';

export interface FileWriterOptions {
  readonly tx: Transaction;
  readonly sums: OwnSums;
  readonly newId: () => number;
  /** Called for each file that really changed. */
  readonly onEvent: (event: TreeEvent) => void;
}

const insertFile = 'insert into files (id, folder, name, size, mtime_us, inode, etag) values ($1, $2, $3, $4, $5, $6, $7)';
const updateFile = 'update files set size = $2, mtime_us = $3, inode = $4, etag = $5 where id = $1';

/** Changes files in one open transaction: on SQLite as each comes, elsewhere those of one folder in one statement. */
export class FileWriter {
  readonly #options: FileWriterOptions;

  constructor(options: FileWriterOptions) {
    this.#options = options;
  }

  async find(folder: FolderRow, name: string): Promise<FileRow | undefined> {
    const sql = `select ${fileColumns} from files where folder = $1 and name = $2`;
    return this.#options.tx.get<FileRow>(sql, folder.id, name);
  }

  /** Puts files into a folder, each name once and none that of a folder there. */
  async put(folder: FolderRow, puts: readonly FilePut[]): Promise<void> {
    const { tx, sums, newId, onEvent } = this.#options;
    const known = await this.#named(folder.id, puts);
    const more = { files: 0, bytes: 0 };
    const inserted: (readonly [number, FilePut])[] = [];
    const updated: (readonly [number, StoredEntry])[] = [];
    for (const put of puts) {
      const { path, name, entry } = put;
      const { sizeBytes, mtimeUs, inode } = entry;
      const row = known(name);
      if (!row) {
        const id = newId();
        more.files += 1;
        more.bytes += sizeBytes;
        inserted.push([id, put]);
        tx.sqlite?.run(insertFile, id, folder.id, name, sizeBytes, mtimeUs, inode, entry.etag);
        onEvent({ kind: 'created', node: { ...entry, id, path, files: 0 } });
        continue;
      }
      const isSame = row.size === sizeBytes && row.mtimeUs === mtimeUs && row.inode === inode;
      const etag = entry.etag === '' && isSame ? row.etag : entry.etag;
      if (isSame && etag === row.etag) continue;
      more.bytes += sizeBytes - row.size;
      const stored = { ...entry, etag };
      updated.push([row.id, stored]);
      tx.sqlite?.run(updateFile, row.id, sizeBytes, mtimeUs, inode, etag);
      if (!isSame || row.etag !== '') onEvent({ kind: 'updated', node: { ...stored, id: row.id, path, files: 0 } });
    }
    sums.add(folder.id, more.files, more.bytes);
    if (!tx.sqlite) await this.#writeMany(folder.id, inserted, updated);
  }

  async delete(folder: FolderRow, path: string, file: FileRow): Promise<void> {
    const { tx, sums, onEvent } = this.#options;
    await tx.run('delete from files where id = $1', file.id);
    sums.add(folder.id, -1, -file.size);
    onEvent({ kind: 'deleted', node: fileNode(file, path) });
  }

  async move(file: FileRow, from: FolderRow, oldPath: string, to: FolderRow, path: string): Promise<void> {
    const { tx, sums, onEvent } = this.#options;
    await tx.run('update files set folder = $2, name = $3 where id = $1', file.id, to.id, nameOf(path));
    sums.add(from.id, -1, -file.size);
    sums.add(to.id, 1, file.size);
    onEvent({ kind: 'moved', node: fileNode(file, path), oldPath });
  }

  async #named(folder: number, puts: readonly FilePut[]): Promise<(name: string) => FileRow | undefined> {
    const { tx } = this.#options;
    const { sqlite } = tx;
    const sql = `select ${fileColumns} from files where folder = $1 and name`;
    if (sqlite) return (name) => sqlite.get<FileRow>(`${sql} = $2`, folder, name);
    const names = JSON.stringify(puts.map(({ name }) => name));
    const rows = await tx.all<FileRow>(`${sql} in (select json_array_elements_text($2::json) collate "C")`, folder, names);
    const byName = new Map(rows.map((row) => [row.name, row]));
    return (name) => byName.get(name);
  }

  async #writeMany(
    folder: number,
    inserted: readonly (readonly [number, FilePut])[],
    updated: readonly (readonly [number, StoredEntry])[],
  ): Promise<void> {
    const { tx } = this.#options;
    if (inserted.length > 0) {
      await tx.run(
        `insert into files (id, folder, name, size, mtime_us, inode, etag) select r.id, $1::bigint, r.name, r.size, r.mtime_us, r.inode, r.etag
         from json_to_recordset($2::json) as r(id bigint, name text, size bigint, mtime_us bigint, inode bigint, etag text)`,
        folder,
        JSON.stringify(inserted.map(([id, { name, entry }]) => ({ ...record(id, entry), name }))),
      );
    }
    if (updated.length > 0) {
      await tx.run(
        `update files set size = r.size, mtime_us = r.mtime_us, inode = r.inode, etag = r.etag
         from json_to_recordset($1::json) as r(id bigint, size bigint, mtime_us bigint, inode bigint, etag text) where files.id = r.id`,
        JSON.stringify(updated.map(([id, entry]) => record(id, entry))),
      );
    }
  }
}

function record(id: number, { sizeBytes, mtimeUs, inode, etag }: StoredEntry): object {
  return { id, size: sizeBytes, mtime_us: mtimeUs, inode: String(inode), etag };
}
