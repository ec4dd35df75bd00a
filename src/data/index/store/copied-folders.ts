import type { SqlValue, Transaction } from '#kernel/database/database.ts';

/** A folder row whose copy is to be made. */
export interface CopiedFolder {
  readonly id: number;
  readonly parent: number;
  readonly name: string;
  readonly ownFiles: number;
  readonly ownBytes: number;
  readonly mtimeUs: number;
  readonly isRanked: number;
}

/** Folders whose files are copied by one statement. */
export const copiedAtOnce = 1000;

/** Parameters: first and last label. */
export const countBelow = 'select count(*) as count from folders where pos between $1 and $2';
export const selectBelow = `
  select id, parent, name, own_files as "ownFiles", own_bytes as "ownBytes", mtime_us as "mtimeUs", is_ranked as "isRanked"
  from folders where pos between $1 and $2 order by pos`;

/** For each folder of a subtree in tree order the place of the last that lies in it, itself when there is none. */
export function subtreeEnds(rows: readonly Pick<CopiedFolder, 'id' | 'parent'>[]): number[] {
  const ends = rows.map((_, at) => at);
  const places = new Map(rows.map(({ id }, at) => [id, at]));
  for (let at = rows.length - 1; at > 0; at--) {
    const parent = places.get((rows[at] as CopiedFolder).parent);
    if (parent !== undefined) ends[parent] = Math.max(ends[parent] as number, ends[at] as number);
  }
  return ends;
}

export interface NewFolder extends CopiedFolder {
  readonly pos: number;
  readonly last: number;
}

/** Inserts folders whose inodes are not known. */
export async function insertFolders(tx: Transaction, folders: readonly NewFolder[]): Promise<void> {
  const columns = 'id, parent, name, pos, last, own_files, own_bytes, mtime_us, inode, is_ranked';
  if (tx.sqlite) {
    const sql = `insert into folders (${columns}) values ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9)`;
    for (const folder of folders) tx.sqlite.run(sql, ...valuesOf(folder));
    return;
  }
  await tx.run(
    `insert into folders (${columns}) select id, parent, name, pos, last, own_files, own_bytes, mtime_us, 0, is_ranked
     from json_to_recordset($1::json) as r(id bigint, parent bigint, name text, pos bigint, last bigint, own_files bigint, own_bytes bigint,
       mtime_us bigint, is_ranked bigint)`,
    JSON.stringify(
      folders.map(({ ownFiles: own_files, ownBytes: own_bytes, mtimeUs: mtime_us, isRanked: is_ranked, ...rest }) => ({
        ...{ ...rest, own_files, own_bytes, mtime_us, is_ranked },
      })),
    ),
  );
}

function valuesOf({ id, parent, name, pos, last, ownFiles, ownBytes, mtimeUs, isRanked }: NewFolder): SqlValue[] {
  return [id, parent, name, pos, last, ownFiles, ownBytes, mtimeUs, isRanked];
}
