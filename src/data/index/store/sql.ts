import { setImmediate } from 'node:timers/promises';
import { type Database, join, type SqlValue } from '#kernel/database/database.ts';
import { nameOf, parentOf } from '#lib/tree-path.ts';
import { compareUtf8 } from '#lib/utf8-order.ts';
import { listFiles, listFolders } from './list-sql.ts';
import {
  type FileRow,
  type FolderRow,
  type FolderSums,
  fileColumns,
  fileNode,
  folderColumns,
  folderNode,
  sumsBelow,
} from './rows.ts';
import type { ListPlace, StoredNode, TreeState, TreeStore } from './store.ts';
import { TreeWriter } from './tree-writer.ts';

/** Reading, by promise or at once. */
interface Reader {
  all<R extends object>(sql: string, ...params: SqlValue[]): R[] | Promise<R[]>;
  get<R extends object>(sql: string, ...params: SqlValue[]): R | undefined | Promise<R | undefined>;
}

/** Rows read at once by a walk, per folder on its way down. */
const walkPage = 500;
const walkPiece = 1000;
/** A batch of 10,000 changes on a distant database takes a while. */
const applyTimeoutMs = 120_000;

/** The store on a database with the tables of `migrations`. */
export function createTreeStore(database: Database): TreeStore {
  // On SQLite reads need no promise; an await of a value costs next to nothing.
  const sql: Reader = database.sqlite ?? database;

  async function folderRow(path: string): Promise<FolderRow | undefined> {
    let row = await sql.get<FolderRow>(`select ${folderColumns} from folders where parent = 0`);
    for (const name of path === '' ? [] : path.split('/')) {
      if (!row) return undefined;
      row = await sql.get<FolderRow>(`select ${folderColumns} from folders where parent = $1 and name = $2`, row.id, `${name}/`);
    }
    return row;
  }

  async function sumsOf({ pos, last }: FolderRow): Promise<FolderSums> {
    const sums = await sql.get<FolderSums>(sumsBelow, pos, last);
    return { files: sums?.files ?? 0, bytes: sums?.bytes ?? 0 };
  }

  async function* walk(folder: StoredNode): AsyncGenerator<readonly StoredNode[]> {
    let piece: StoredNode[] = [];
    const stack = [new WalkedFolder(sql, folder.id, folder.path)];
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const node = await top.next();
      if (!node) {
        stack.pop();
        continue;
      }
      piece.push(node);
      if (node.isFolder) stack.push(new WalkedFolder(sql, node.id, node.path));
      if (piece.length < walkPiece) continue;
      yield piece;
      piece = [];
      await setImmediate();
    }
    if (piece.length > 0) yield piece;
  }

  return {
    async prepare(tag) {
      await database.transaction(async (tx) => {
        await tx.run(
          `insert into folders (id, parent, name, pos, last, own_files, own_bytes, mtime_us, inode) values (1, 0, '', 0, 0, 0, 0, 0, 0)
           on conflict (id) do nothing`,
        );
        await tx.run(
          'insert into state (only_row, tag, next_id, source_position) values (1, $1, 2, 0) on conflict (only_row) do nothing',
          tag,
        );
      });
    },
    async state() {
      const state = await database.get<TreeState>('select tag, source_position as "sourcePosition" from state');
      if (!state) throw new Error('The index was not prepared');
      return state;
    },
    async totals() {
      const totals = await sql.get<FolderSums & { folders: number }>(
        'select count(*) as folders, sum(own_files) as files, sum(own_bytes) as bytes from folders',
      );
      return { folders: (totals?.folders ?? 1) - 1, files: totals?.files ?? 0, sizeBytes: totals?.bytes ?? 0 };
    },
    async find(path) {
      const parent = path === '' ? undefined : await folderRow(parentOf(path));
      if (path !== '' && !parent) return undefined;
      const file =
        parent &&
        (await sql.get<FileRow>(`select ${fileColumns} from files where folder = $1 and name = $2`, parent.id, nameOf(path)));
      if (file) return fileNode(file, path);
      const folder = parent
        ? await sql.get<FolderRow>(
            `select ${folderColumns} from folders where parent = $1 and name = $2`,
            parent.id,
            `${nameOf(path)}/`,
          )
        : await folderRow('');
      return folder && folderNode(folder, path, await sumsOf(folder));
    },
    async list(folder, request) {
      const { order, after, limit } = request;
      const isAfterFolders = order === 'name' && after !== undefined && !after.name.endsWith('/');
      const [foldersSql, foldersParams] = listFolders(folder.id, request);
      const folders = isAfterFolders ? [] : await sql.all<FolderRow & FolderSums>(foldersSql, ...foldersParams);
      const left = order === 'name' ? limit - folders.length : limit;
      const isInFolders = order === 'name' && after?.name.endsWith('/');
      const [filesSql, filesParams] = listFiles(folder.id, { ...request, limit: left, after: isInFolders ? undefined : after });
      const files = left > 0 ? await sql.all<FileRow>(filesSql, ...filesParams) : [];
      const nodes = [
        ...folders.map((row) => folderNode(row, inFolder(folder.path, row.name.slice(0, -1)), row)),
        ...files.map((row) => fileNode(row, inFolder(folder.path, row.name))),
      ];
      if (order === 'name') return nodes;
      const sign = request.isDescending ? -1 : 1;
      return nodes.sort((a, b) => sign * comparePlaces(placeOf(a, order), placeOf(b, order))).slice(0, limit);
    },
    walk,
    apply: (session, changes, sourcePosition) =>
      join(
        session,
        async (tx) => {
          const writer = await TreeWriter.begin(tx);
          await writer.apply(changes);
          await writer.finish(sourcePosition);
          return writer.events;
        },
        { timeoutMs: applyTimeoutMs },
      ),
  };
}

/** One folder of a walk: its files and folders, merged in tree order, read a page at a time. */
class WalkedFolder {
  readonly #sql: Reader;
  readonly #id: number;
  readonly #path: string;
  #files: readonly FileRow[] | undefined;
  #folders: readonly FolderRow[] | undefined;
  #fileAt = 0;
  #folderAt = 0;

  constructor(sql: Reader, id: number, path: string) {
    this.#sql = sql;
    this.#id = id;
    this.#path = path;
  }

  async next(): Promise<StoredNode | undefined> {
    const file = await this.#nextFile();
    const folder = await this.#nextFolder();
    if (file && (!folder || compareUtf8(file.name, folder.name) < 0)) {
      this.#fileAt += 1;
      return fileNode(file, inFolder(this.#path, file.name));
    }
    if (!folder) return undefined;
    this.#folderAt += 1;
    return folderNode(folder, inFolder(this.#path, folder.name.slice(0, -1)));
  }

  async #nextFile(): Promise<FileRow | undefined> {
    if (this.#files && (this.#fileAt < this.#files.length || this.#files.length < walkPage)) return this.#files[this.#fileAt];
    const sql = `select ${fileColumns} from files where folder = $1 and name > $2 order by name limit ${walkPage}`;
    this.#files = await this.#sql.all<FileRow>(sql, this.#id, this.#files?.at(-1)?.name ?? '');
    this.#fileAt = 0;
    return this.#files[0];
  }

  async #nextFolder(): Promise<FolderRow | undefined> {
    if (this.#folders && (this.#folderAt < this.#folders.length || this.#folders.length < walkPage))
      return this.#folders[this.#folderAt];
    const sql = `select ${folderColumns} from folders where parent = $1 and name > $2 order by name limit ${walkPage}`;
    this.#folders = await this.#sql.all<FolderRow>(sql, this.#id, this.#folders?.at(-1)?.name ?? '');
    this.#folderAt = 0;
    return this.#folders[0];
  }
}

/** Where a node stands in a listing. */
export function placeOf(node: StoredNode, order: 'name' | 'size' | 'time'): ListPlace {
  const name = nameOf(node.path) + (node.isFolder ? '/' : '');
  return { name, value: order === 'size' ? node.sizeBytes : order === 'time' ? node.mtimeUs : 0 };
}

function comparePlaces(a: ListPlace, b: ListPlace): number {
  return a.value - b.value || compareUtf8(a.name, b.name);
}

function inFolder(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}
