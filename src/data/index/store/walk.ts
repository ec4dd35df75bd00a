import { setImmediate } from 'node:timers/promises';
import { inFolder } from '#lib/tree-path.ts';
import { compareUtf8 } from '#lib/utf8-order.ts';
import type { Reader } from './reader.ts';
import type { Integer, StoredNode, WalkedPiece, WalkOptions } from './store.ts';

/** About how many files and at most how many folders are read at once. */
const filesAtOnce = 2000;
const foldersAtOnce = 500;

type FolderValues = [id: number, parent: number, name: string, pos: number, mtimeUs: number, inode: Integer, ownFiles: number];
type FileValues = [folder: number, id: number, name: string, size: number, mtimeUs: number, inode: Integer, etag: string];

const folderColumns = 'id, parent, name, pos, mtime_us, inode, own_files';
const fileColumns = 'f.folder, f.id, f.name, f.size, f.mtime_us, f.inode, f.etag';

const filesOf = (ids: string): string =>
  `select ${fileColumns} from files f where f.folder in (${ids}) order by f.folder, f.name`;
const filesOfMany = {
  sqlite: filesOf('select value from json_each($1)'),
  postgres: filesOf('select json_array_elements_text($1::json)::bigint'),
} as const;

/** A folder around the present place of a walk. */
interface Level {
  readonly id: number;
  readonly path: string;
  /** The last name in it that was passed; folders' with a slash. */
  after: string;
  files: FileValues[] | undefined;
  fileAt: number;
  /** There may be files after those read. */
  isOpen: boolean;
}

const level = (id: number, path: string): Level => ({ id, path, after: '', files: undefined, fileAt: 0, isOpen: true });

/**
 * Everything below a folder in tree order. Each piece is found anew from the place of the last one, so that nothing between two of them
 * matters to the walk but the tree itself: not renumbering, nor a restart.
 */
export async function* walk(
  sql: Reader,
  { id, path }: StoredNode,
  { after = '', onlyFolders = false }: WalkOptions = {},
): AsyncGenerator<WalkedPiece> {
  for (let place = after; ; ) {
    const { nodes, isLast } = await readPiece(sql, { id, path }, place, !onlyFolders);
    const last = nodes.at(-1);
    if (!last) return;
    place = last.isFolder ? `${last.path}/` : last.path;
    yield { nodes, place };
    if (isLast) return;
    await setImmediate();
  }
}

async function readPiece(
  sql: Reader,
  root: Pick<StoredNode, 'id' | 'path'>,
  place: string,
  withFiles: boolean,
): Promise<{ readonly nodes: readonly StoredNode[]; readonly isLast: boolean }> {
  const range = await sql.get<{ pos: number; last: number }>('select pos, last from folders where id = $1', root.id);
  if (!range) return { nodes: [], isLast: true };
  const levels = await descend(sql, root, place);
  const nodes: StoredNode[] = [];
  let low = await labelBefore(sql, levels.at(-1) as Level, range.pos);
  for (;;) {
    const foldersSql = `select ${folderColumns} from folders where pos > $1 and pos <= $2 order by pos limit ${foldersAtOnce}`;
    const folders = (await sql.rows(foldersSql, low, range.last)) as FolderValues[];
    const { count, files } = withFiles ? await filesTogether(sql, folders) : { count: folders.length, files: undefined };
    const isLast = await merge({ sql, levels, folders, count, files, withFiles, nodes });
    const last = folders.at(-1);
    // Rows that lead nowhere, in a damaged index: go on behind them.
    if (nodes.length > 0 || isLast || !last) return { nodes, isLast: isLast || nodes.length === 0 };
    low = last[3];
  }
}

/** The folders around a place, as far as they are still there. */
async function descend(sql: Reader, root: Pick<StoredNode, 'id' | 'path'>, place: string): Promise<Level[]> {
  const levels = [level(root.id, root.path)];
  const names = place.slice(root.path === '' || place === '' ? 0 : root.path.length + 1).split('/');
  const own = names.pop() ?? '';
  for (const name of names) {
    const top = levels.at(-1) as Level;
    top.after = `${name}/`;
    const child = await sql.get<{ id: number }>('select id from folders where parent = $1 and name = $2', top.id, top.after);
    if (!child) return levels;
    levels.push(level(child.id, inFolder(top.path, name)));
  }
  (levels.at(-1) as Level).after = own;
  return levels;
}

/** The label after which the folders come that a walk has not passed. */
async function labelBefore(sql: Reader, { id, after }: Level, rootPos: number): Promise<number> {
  const before =
    after === ''
      ? undefined
      : await sql.get<{ last: number }>(
          'select last from folders where parent = $1 and name <= $2 order by name desc limit 1',
          id,
          after,
        );
  if (before) return before.last;
  return (await sql.get<{ pos: number }>('select pos from folders where id = $1', id))?.pos ?? rootPos;
}

/** The files of as many of the folders as are read well by one statement, at least one folder; none when its own are too many for that. */
async function filesTogether(
  sql: Reader,
  folders: readonly FolderValues[],
): Promise<{ readonly count: number; readonly files: Map<number, FileValues[]> | undefined }> {
  let [count, sum] = [0, 0];
  for (const [, , , , , , ownFiles] of folders) {
    if (count > 0 && sum + ownFiles > filesAtOnce) break;
    sum += ownFiles;
    count += 1;
  }
  if (count === 0 || sum > filesAtOnce) return { count, files: undefined };
  const ids = JSON.stringify(folders.slice(0, count).map(([id]) => id));
  const rows = (await sql.rows(filesOfMany[sql.engine], ids)) as FileValues[];
  const files = new Map<number, FileValues[]>();
  for (let from = 0; from < rows.length; ) {
    const folder = (rows[from] as FileValues)[0];
    let to = from + 1;
    while (to < rows.length && (rows[to] as FileValues)[0] === folder) to++;
    files.set(folder, rows.slice(from, to));
    from = to;
  }
  return { count, files };
}

interface Merged {
  readonly sql: Reader;
  readonly levels: Level[];
  /** In tree order, what comes next; may not be all. */
  readonly folders: readonly FolderValues[];
  /** How many of them belong to this piece. */
  readonly count: number;
  /** Files of those, when they were read together. */
  readonly files: Map<number, FileValues[]> | undefined;
  readonly withFiles: boolean;
  readonly nodes: StoredNode[];
}

/** Puts files and folders in tree order until the piece is full. Result: true when the walk is over. */
async function merge({ sql, levels, folders, count, files, withFiles, nodes }: Merged): Promise<boolean> {
  const around = new Set(levels.map(({ id }) => id));
  for (let at = 0; ; ) {
    const top = levels.at(-1);
    if (!top) return true;
    const next = folders[at];
    if (!next && folders.length === foldersAtOnce) return false;
    if (next && !around.has(next[1])) {
      at += 1;
      continue;
    }
    const child = next?.[1] === top.id ? next : undefined;
    if (child && at >= count) return false;
    if (withFiles && !(await takeFiles(sql, top, child?.[2], nodes))) return false;
    if (!child) {
      levels.pop();
      around.delete(top.id);
      continue;
    }
    const [id, , name, , mtimeUs, inode] = child;
    const path = inFolder(top.path, name.slice(0, -1));
    nodes.push({ id, path, isFolder: true, sizeBytes: 0, mtimeUs, inode, etag: '', files: 0 });
    top.after = name;
    around.add(id);
    const entered = level(id, path);
    if (files) {
      entered.files = files.get(id) ?? [];
      entered.isOpen = false;
    }
    levels.push(entered);
    at += 1;
  }
}

/** Takes the files of a folder that come before a name, or all that are left. Result: false when the piece is full. */
async function takeFiles(sql: Reader, top: Level, before: string | undefined, nodes: StoredNode[]): Promise<boolean> {
  for (;;) {
    if (!top.files) {
      const page = `select ${fileColumns} from files f where f.folder = $1 and f.name > $2 order by f.name limit ${filesAtOnce}`;
      top.files = (await sql.rows(page, top.id, top.after)) as FileValues[];
      top.isOpen = top.files.length === filesAtOnce;
      top.fileAt = 0;
    }
    const { files, path } = top;
    const prefix = path === '' ? '' : `${path}/`;
    let at = top.fileAt;
    for (; at < files.length; at++) {
      const [, id, name, sizeBytes, mtimeUs, inode, etag] = files[at] as FileValues;
      if (before !== undefined && compareUtf8(name, before) > 0) break;
      nodes.push({ id, path: prefix + name, isFolder: false, sizeBytes, mtimeUs, inode, etag, files: 0 });
      top.after = name;
    }
    top.fileAt = at;
    if (at < files.length || !top.isOpen) return true;
    if (nodes.length >= filesAtOnce) return false;
    top.files = undefined;
  }
}
