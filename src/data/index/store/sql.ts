import { type Database, join } from '#kernel/database/database.ts';
import { inFolder, nameOf } from '#lib/tree-path.ts';
import { compareUtf8 } from '#lib/utf8-order.ts';
import { listFiles, listFolders } from './list-sql.ts';
import { createLookup } from './lookup.ts';
import { readerOf } from './reader.ts';
import { type FileRow, type FolderRow, type FolderSums, fileNode, folderNode, sumsBelow } from './rows.ts';
import type { ListPlace, StoredNode, TreeState, TreeStore } from './store.ts';
import { TreeWriter } from './tree-writer.ts';
import { walk } from './walk.ts';

/** A batch of 10,000 changes on a distant database takes a while. */
const applyTimeoutMs = 120_000;

/** The store on a database with the tables of `migrations`. */
export function createTreeStore(database: Database): TreeStore {
  const sql = readerOf(database);
  const lookup = createLookup(sql);

  async function sumsOf({ pos, last }: FolderRow): Promise<FolderSums> {
    const sums = await sql.get<FolderSums>(sumsBelow, pos, last);
    return { files: sums?.files ?? 0, bytes: sums?.bytes ?? 0 };
  }

  async function isLarge(folder: number): Promise<boolean> {
    const row = await sql.get<{ isRanked: number }>('select is_ranked as "isRanked" from folders where id = $1', folder);
    return row?.isRanked === 1;
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
      const file = path === '' ? undefined : await lookup.file(path);
      if (file) return fileNode(file, path);
      const folder = await lookup.folder(path);
      return folder && folderNode(folder, path, await sumsOf(folder));
    },
    async list(folder, request) {
      const { order, after, limit } = request;
      const isAfterFolders = order === 'name' && after !== undefined && !after.name.endsWith('/');
      const [foldersSql, foldersParams] = listFolders(folder.id, request);
      const folders = isAfterFolders ? [] : await sql.all<FolderRow & FolderSums>(foldersSql, ...foldersParams);
      const left = order === 'name' ? limit - folders.length : limit;
      const isInFolders = order === 'name' && after?.name.endsWith('/');
      const isRanked = order !== 'name' && (await isLarge(folder.id));
      const onFiles = { ...request, limit: left, after: isInFolders ? undefined : after };
      const [filesSql, filesParams] = listFiles(folder.id, isRanked, onFiles);
      const files = left > 0 ? await sql.all<FileRow>(filesSql, ...filesParams) : [];
      const nodes = [
        ...folders.map((row) => folderNode(row, inFolder(folder.path, row.name.slice(0, -1)), row)),
        ...files.map((row) => fileNode(row, inFolder(folder.path, row.name))),
      ];
      if (order === 'name') return nodes;
      const sign = request.isDescending ? -1 : 1;
      return nodes.sort((a, b) => sign * comparePlaces(placeOf(a, order), placeOf(b, order))).slice(0, limit);
    },
    walk: (folder, options) => walk(sql, folder, options),
    apply: (session, changes, { sourcePosition, isQuiet = false } = {}) =>
      join(
        session,
        async (tx) => {
          const writer = await TreeWriter.begin(tx, isQuiet);
          await writer.apply(changes);
          await writer.finish(sourcePosition);
          return writer.events;
        },
        { timeoutMs: applyTimeoutMs },
      ),
  };
}

/** Where a node stands in a listing. */
export function placeOf(node: StoredNode, order: 'name' | 'size' | 'time'): ListPlace {
  const name = nameOf(node.path) + (node.isFolder ? '/' : '');
  return { name, value: order === 'size' ? node.sizeBytes : order === 'time' ? node.mtimeUs : 0 };
}

function comparePlaces(a: ListPlace, b: ListPlace): number {
  return a.value - b.value || compareUtf8(a.name, b.name);
}
