import type { Transaction } from '#kernel/database/database.ts';
import { type FileValues, type FolderValues, fileValues, folderValues, insertFiles, insertFolders } from './insert-rows.ts';
import type { Reader } from './reader.ts';

/** Rows of an index, some of one table at a time. */
export type Dumped =
  | { readonly table: 'folders'; readonly rows: readonly FolderValues[] }
  | { readonly table: 'files'; readonly rows: readonly FileValues[] };

export interface DumpedState {
  readonly tag: string;
  readonly nextId: number;
  readonly files: number;
  /** With the root. */
  readonly folders: number;
  readonly sizeBytes: number;
}

const rowsAtOnce = 2000;

export async function dumpState(sql: Reader): Promise<DumpedState> {
  const state = await sql.get<DumpedState>(
    `select tag, next_id as "nextId", (select count(*) from folders) as folders, (select sum(own_files) from folders) as files,
       (select sum(own_bytes) from folders) as "sizeBytes" from state`,
  );
  if (!state) throw new Error('The index was not prepared');
  return state;
}

/** All folders, then all files. */
export async function* dumpRows(sql: Reader): AsyncGenerator<Dumped> {
  const folders = `select ${folderValues} from folders where id > $1 order by id limit ${rowsAtOnce}`;
  for (let after = 0; ; ) {
    const rows = (await sql.rows(folders, after)) as unknown as FolderValues[];
    if (rows.length > 0) yield { table: 'folders', rows };
    const last = rows.at(-1);
    if (!last || rows.length < rowsAtOnce) break;
    after = last[0];
  }
  const files = `select ${fileValues} from files where (folder, name) > ($1, $2) order by folder, name limit ${rowsAtOnce}`;
  for (let after: readonly [number, string] = [0, '']; ; ) {
    const rows = (await sql.rows(files, ...after)) as unknown as FileValues[];
    if (rows.length > 0) yield { table: 'files', rows };
    const last = rows.at(-1);
    if (!last || rows.length < rowsAtOnce) break;
    after = [last[0], last[1]];
  }
}

/**
 * Puts dumped rows in place of those there are. Ids given away since stay so, and the index covers no position of its storage any more.
 * Errors: those of the database and of `dump`; nothing is changed then, as far as the caller's transaction ends with them.
 */
export async function loadDump(tx: Transaction, { tag, nextId }: DumpedState, dump: AsyncIterable<Dumped>): Promise<void> {
  // An update, so that on PostgreSQL other writers wait here.
  await tx.run(
    `update state set tag = $1, source_position = 0, next_id = case when next_id > $2 then next_id else $3 end`,
    ...[tag, nextId, nextId],
  );
  await tx.run('delete from files');
  await tx.run('delete from folders');
  for await (const piece of dump) {
    if (piece.table === 'folders') await insertFolders(tx, piece.rows);
    else await insertFiles(tx, piece.rows);
  }
}
