import { setImmediate } from 'node:timers/promises';
import type { Database } from '#kernel/database/database.ts';
import { type FolderRow, folderColumns } from './rows.ts';
import type { StoredNode } from './store.ts';

/** Files of one folder, packed: name, size, time and inode of each, with a slash between all parts. */
export interface FolderRun {
  readonly path: string;
  /** Only in a folder's first run. */
  readonly folder?: Pick<FolderRow, 'mtimeUs' | 'inode'>;
  readonly count: number;
  readonly files: string;
}

type CountedRow = FolderRow & { readonly ownFiles: number };
type PlacedFolder = CountedRow & { readonly path: string };

interface Packed {
  readonly folder: number;
  readonly count: number;
  readonly files: string;
}

/** Folders read at once, and files of one run: texts beyond 128 KiB would each be an allocation of their own. */
const foldersMax = 256;
const filesMax = 1000;

const columns = `${folderColumns}, own_files as "ownFiles"`;
// The database itself packs: that is several times faster than reading rows.
const packed = `count(*) as count, string_agg(concat_ws('/', name, size, mtime_us, inode), '/' order by name) as files`;
const packedNext = `select ${packed}, max(name) as last
  from (select * from files where folder = $1 and name > $2 order by name limit ${filesMax}) as next`;
const packedOf = (folders: string): string => `select folder, ${packed} from files where folder in (${folders}) group by folder`;
const packedMany = {
  sqlite: packedOf('select value from json_each($1)'),
  postgres: packedOf('select json_array_elements_text($1::json)::bigint'),
} as const;

/**
 * A folder and all folders below in tree order, with their files, in pieces of bounded size. Changes made meanwhile may be seen or not; a
 * folder that is moved meanwhile may be left out, or come under either path.
 */
export async function* walkFolders(database: Database, top: StoredNode): AsyncGenerator<readonly FolderRun[]> {
  const sql = database.sqlite ?? database;
  const first = await sql.get<CountedRow>(`select ${columns} from folders where id = $1`, top.id);
  if (!first) return;
  const above: PlacedFolder[] = [];
  let rows: readonly CountedRow[] = [first];
  while (rows.length > 0) {
    for (const group of groups(rows.flatMap((row) => place(row, above, top)))) {
      yield* runsOf(database, group);
      await setImmediate();
    }
    rows = await sql.all<CountedRow>(
      `select ${columns} from folders where pos > $1 and pos <= $2 order by pos limit ${foldersMax}`,
      rows.at(-1)?.pos ?? first.pos,
      first.last,
    );
  }
}

/** A folder with its path; nothing when it is not below the ones before, since labels have changed. */
function place(row: CountedRow, above: PlacedFolder[], top: StoredNode): PlacedFolder[] {
  while (above.length > 0 && (above.at(-1)?.last ?? 0) < row.pos) above.pop();
  const parent = above.at(-1);
  if (row.id !== top.id && parent?.id !== row.parent) return [];
  const name = row.name.slice(0, -1);
  const path = row.id === top.id ? top.path : parent?.path ? `${parent.path}/${name}` : name;
  const placed = { ...row, path };
  above.push(placed);
  return [placed];
}

/** Neighbours that have few files together; those with many are alone. */
function* groups(folders: readonly PlacedFolder[]): Generator<readonly PlacedFolder[]> {
  let group: PlacedFolder[] = [];
  let files = 0;
  for (const folder of folders) {
    if (group.length > 0 && files + folder.ownFiles > filesMax) {
      yield group;
      [group, files] = [[], 0];
    }
    group.push(folder);
    files += folder.ownFiles;
  }
  if (group.length > 0) yield group;
}

async function* runsOf(database: Database, folders: readonly PlacedFolder[]): AsyncGenerator<readonly FolderRun[]> {
  const sql = database.sqlite ?? database;
  const [only] = folders;
  if (folders.length === 1 && only && only.ownFiles > filesMax) {
    for (let after = '', isFirst = true; isFirst || after !== ''; isFirst = false) {
      const next = await sql.get<Packed & { last: string | null }>(packedNext, only.id, after);
      if (isFirst || next?.count) yield [run(only, next, isFirst)];
      after = next?.count === filesMax ? (next.last ?? '') : '';
    }
    return;
  }
  const ids = folders.filter(({ ownFiles }) => ownFiles !== 0).map(({ id }) => id);
  const rows = ids.length > 0 ? await sql.all<Packed>(packedMany[database.engine], JSON.stringify(ids)) : [];
  const byFolder = new Map(rows.map((row) => [row.folder, row]));
  yield folders.map((folder) => run(folder, byFolder.get(folder.id), true));
}

function run({ path, mtimeUs, inode }: PlacedFolder, files: Omit<Packed, 'folder'> | undefined, isFirst: boolean): FolderRun {
  return { path, ...(isFirst ? { folder: { mtimeUs, inode } } : {}), count: files?.count ?? 0, files: files?.files ?? '' };
}
