import type { SqlValue } from '#kernel/database/database.ts';
import type { Reader } from './reader.ts';
import { type FileRow, type FolderRow, fileColumns, folderColumns, rootId } from './rows.ts';

/** Names that one statement follows; SQLite allows no more than some thirty subqueries in each other. */
const namesMax = 16;

/** By depth: the id of a folder so many names below the one whose id is `$1`; the names are `$2` and so on. */
const folderIds = ['$1'];
for (let depth = 1; depth <= namesMax; depth++)
  folderIds.push(`(select id from folders where parent = ${folderIds[depth - 1]} and name = $${depth + 1})`);

export interface Lookup {
  file(path: string): Promise<FileRow | undefined>;
  folder(path: string): Promise<FolderRow | undefined>;
}

/** Follows paths from the root: one statement for all names, each of them one search in an index. */
export function createLookup(sql: Reader): Lookup {
  /** The row that a last name leads to. `sql` ends in its folder's id and its own name. */
  async function at<R extends object>(select: string, path: string, ending: '' | '/'): Promise<R | undefined> {
    const names = path.split('/');
    const own = `${names.pop()}${ending}`;
    const above = names.map((name) => `${name}/`);
    let start: SqlValue = rootId;
    while (above.length > namesMax) {
      const row: { id: number | null } | undefined = await sql.get(
        `select ${folderIds[namesMax]} as id`,
        start,
        ...above.splice(0, namesMax),
      );
      if (!row?.id) return undefined;
      start = row.id;
    }
    const depth = above.length;
    return sql.get<R>(`${select} = ${folderIds[depth]} and name = $${depth + 2}`, start, ...above, own);
  }

  return {
    file: (path) => at<FileRow>(`select ${fileColumns} from files where folder`, path, ''),
    async folder(path) {
      if (path === '') return sql.get<FolderRow>(`select ${folderColumns} from folders where id = ${rootId}`);
      return at<FolderRow>(`select ${folderColumns} from folders where parent`, path, '/');
    },
  };
}
