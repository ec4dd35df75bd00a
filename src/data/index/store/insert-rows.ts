import type { SqlValue, Transaction } from '#kernel/database/database.ts';
import type { Integer } from './store.ts';

/** A row of `files`, in the order of its columns. */
export type FileValues = readonly [
  folder: number,
  name: string,
  id: number,
  size: number,
  mtimeUs: number,
  inode: Integer,
  etag: string,
  isRanked: number,
];

/** A row of `folders`. */
export type FolderValues = readonly [
  id: number,
  parent: number,
  name: string,
  pos: number,
  last: number,
  ownFiles: number,
  ownBytes: number,
  mtimeUs: number,
  inode: Integer,
  isRanked: number,
];

/** Columns of a table and their types on PostgreSQL. */
const tables = {
  files: 'folder bigint, name text, id bigint, size bigint, mtime_us bigint, inode bigint, etag text, is_ranked bigint',
  folders:
    'id bigint, parent bigint, name text, pos bigint, last bigint, own_files bigint, own_bytes bigint, mtime_us bigint, inode bigint, is_ranked bigint',
} as const;

export const fileValues = namesOf('files').join(', ');
export const folderValues = namesOf('folders').join(', ');

/** Rows of one insert on SQLite; few sizes, so that few statements are prepared. */
const sizes = [64, 8, 1] as const;
const statements = { files: statementsFor('files'), folders: statementsFor('folders') } as const;
/** Rows of one insert on PostgreSQL. */
const chunk = 5000;

export const insertFiles = (tx: Transaction, rows: readonly FileValues[]): Promise<void> =>
  insertValues(tx, 'files', rows.flat());
export const insertFolders = (tx: Transaction, rows: readonly FolderValues[]): Promise<void> =>
  insertValues(tx, 'folders', rows.flat());
/** Files as the values of one after the other, which is cheaper than a row for each. */
export const insertFileValues = (tx: Transaction, values: readonly SqlValue[]): Promise<void> =>
  insertValues(tx, 'files', values);

async function insertValues(tx: Transaction, table: keyof typeof tables, values: readonly SqlValue[]): Promise<void> {
  const names = namesOf(table);
  const width = names.length;
  if (tx.sqlite) {
    for (let at = 0; at < values.length; ) {
      const size = sizes.find((candidate) => candidate * width <= values.length - at) ?? 1;
      tx.sqlite.run(statements[table].get(size) as string, ...values.slice(at, at + size * width));
      at += size * width;
    }
    return;
  }
  const sql = `insert into ${table} (${names.join(', ')}) select ${names.join(', ')} from json_to_recordset($1::json) as r(${tables[table]})`;
  const plain = (value: SqlValue | undefined): unknown => (typeof value === 'bigint' ? String(value) : value);
  for (let at = 0; at < values.length; at += chunk * width) {
    const rows = Math.min(chunk, (values.length - at) / width);
    const records = Array.from({ length: rows }, (_, row) =>
      Object.fromEntries(names.map((name, column) => [name, plain(values[at + row * width + column])])),
    );
    await tx.run(sql, JSON.stringify(records));
  }
}

function namesOf(table: keyof typeof tables): string[] {
  return tables[table].split(', ').map((column) => column.split(' ')[0] as string);
}

function statementsFor(table: keyof typeof tables): ReadonlyMap<number, string> {
  const names = namesOf(table);
  const row = (at: number): string => `(${names.map((_, column) => `$${at * names.length + column + 1}`).join(', ')})`;
  const values = (rows: number): string => Array.from({ length: rows }, (_, at) => row(at)).join(', ');
  return new Map(sizes.map((rows) => [rows, `insert into ${table} (${names.join(', ')}) values ${values(rows)}`]));
}
