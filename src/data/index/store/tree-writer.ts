import type { Transaction } from '#kernel/database/database.ts';
import { failedPrecondition, notFound } from '#kernel/fault.ts';
import { labelsBetween } from '#lib/sparse-labels.ts';
import { freeLabels, type LabelledFolder, labelAfter, makeRoom, relabel } from './labels.ts';
import type { Integer, StoredEntry, StoredNode, TreeChange, TreeEvent } from './store.ts';

interface FolderRow extends LabelledFolder {
  readonly name: string;
  readonly mtimeUs: number;
  readonly inode: Integer;
}

interface FileRow {
  readonly id: number;
  readonly name: string;
  readonly size: number;
  readonly mtimeUs: number;
  readonly inode: Integer;
  readonly etag: string;
}

type FilePut = { readonly path: string; readonly name: string; readonly entry: StoredEntry };

const folderColumns = 'id, parent, name, pos, last, mtime_us as "mtimeUs", inode';
const fileColumns = 'id, name, size, mtime_us as "mtimeUs", inode, etag';
const insertFile = 'insert into files (id, folder, name, size, mtime_us, inode, etag) values ($1, $2, $3, $4, $5, $6, $7)';
const updateFile = 'update files set size = $2, mtime_us = $3, inode = $4, etag = $5 where id = $1';

/** How many folders' places are remembered in one transaction. */
const foldersMax = 10_000;

const noEntry: StoredEntry = { isFolder: true, sizeBytes: 0, mtimeUs: 0, inode: 0, etag: '' };

/** Makes changes in one open transaction, and collects what really changed. Ends with `finish`. */
export class TreeWriter {
  readonly events: TreeEvent[] = [];
  readonly #tx: Transaction;
  /** Folders by path, as long as their labels hold. */
  readonly #folders = new Map<string, FolderRow>();
  /** What the files of a folder add up to more or less than its row says. */
  readonly #owed = new Map<number, { files: number; bytes: number }>();
  #nextId: number;

  private constructor(tx: Transaction, nextId: number) {
    this.#tx = tx;
    this.#nextId = nextId;
  }

  static async begin(tx: Transaction): Promise<TreeWriter> {
    // An update, so that on PostgreSQL a second writer waits here.
    const state = await tx.get<{ nextId: number }>('update state set next_id = next_id returning next_id as "nextId"');
    if (!state) throw failedPrecondition('The index has no root yet');
    return new TreeWriter(tx, state.nextId);
  }

  async apply(changes: readonly TreeChange[]): Promise<void> {
    for (let at = 0; at < changes.length; ) {
      const run = fileRun(changes, at);
      const change = changes[at] as TreeChange;
      if (run.length > 0) await this.#putFiles(parentOf(run[0]?.path ?? ''), run);
      else if (change.kind === 'put') await this.#putFolder(change.path, change.entry);
      else if (change.kind === 'delete') await this.#delete(change.path);
      else if (change.kind === 'move') await this.#move(change.path, change.newPath);
      at += Math.max(1, run.length);
    }
  }

  async finish(sourcePosition: number | undefined): Promise<void> {
    await this.#settle();
    await this.#tx.run(
      'update state set next_id = $1, source_position = coalesce($2, source_position)',
      this.#nextId,
      sourcePosition ?? null,
    );
  }

  async #putFiles(parentPath: string, puts: readonly FilePut[]): Promise<void> {
    const folder = await this.#ensureFolder(parentPath);
    await this.#clearFolders(folder, parentPath, puts);
    const known = await this.#filesNamed(folder.id, puts);
    const owed = this.#owedTo(folder.id);
    const inserted: (readonly [number, FilePut])[] = [];
    const updated: (readonly [number, StoredEntry])[] = [];
    for (const put of puts) {
      const { path, name, entry } = put;
      const row = known(name);
      if (!row) {
        const id = this.#nextId++;
        owed.files += 1;
        owed.bytes += entry.sizeBytes;
        inserted.push([id, put]);
        this.#insertNow(id, folder.id, put);
        this.events.push({ kind: 'created', node: { ...entry, id, path, files: 0 } });
        continue;
      }
      const isSame = row.size === entry.sizeBytes && row.mtimeUs === entry.mtimeUs && row.inode === entry.inode;
      const etag = entry.etag === '' && isSame ? row.etag : entry.etag;
      if (isSame && etag === row.etag) continue;
      owed.bytes += entry.sizeBytes - row.size;
      const stored = { ...entry, etag };
      updated.push([row.id, stored]);
      this.#tx.sqlite?.run(updateFile, row.id, entry.sizeBytes, entry.mtimeUs, entry.inode, etag);
      if (!isSame || row.etag !== '') this.events.push({ kind: 'updated', node: { ...stored, id: row.id, path, files: 0 } });
    }
    if (!this.#tx.sqlite) await this.#writeMany(folder.id, inserted, updated);
  }

  /** On SQLite a lookup as each file comes, elsewhere one for all. */
  async #filesNamed(folder: number, puts: readonly FilePut[]): Promise<(name: string) => FileRow | undefined> {
    const { sqlite } = this.#tx;
    const sql = `select ${fileColumns} from files where folder = $1 and name`;
    if (sqlite) return (name) => sqlite.get<FileRow>(`${sql} = $2`, folder, name);
    const names = JSON.stringify(puts.map(({ name }) => name));
    const rows = await this.#tx.all<FileRow>(`${sql} in (select json_array_elements_text($2::json) collate "C")`, folder, names);
    const byName = new Map(rows.map((row) => [row.name, row]));
    return (name) => byName.get(name);
  }

  #insertNow(id: number, folder: number, { name, entry }: FilePut): void {
    this.#tx.sqlite?.run(insertFile, id, folder, name, entry.sizeBytes, entry.mtimeUs, entry.inode, entry.etag);
  }

  async #writeMany(
    folder: number,
    inserted: readonly (readonly [number, FilePut])[],
    updated: readonly (readonly [number, StoredEntry])[],
  ): Promise<void> {
    const record = (id: number, { sizeBytes, mtimeUs, inode, etag }: StoredEntry) => ({
      id,
      size: sizeBytes,
      mtime_us: mtimeUs,
      inode: String(inode),
      etag,
    });
    if (inserted.length > 0) {
      await this.#tx.run(
        `insert into files (id, folder, name, size, mtime_us, inode, etag) select r.id, $1::bigint, r.name, r.size, r.mtime_us, r.inode, r.etag
         from json_to_recordset($2::json) as r(id bigint, name text, size bigint, mtime_us bigint, inode bigint, etag text)`,
        folder,
        JSON.stringify(inserted.map(([id, { name, entry }]) => ({ ...record(id, entry), name }))),
      );
    }
    if (updated.length > 0) {
      await this.#tx.run(
        `update files set size = r.size, mtime_us = r.mtime_us, inode = r.inode, etag = r.etag
         from json_to_recordset($1::json) as r(id bigint, size bigint, mtime_us bigint, inode bigint, etag text) where files.id = r.id`,
        JSON.stringify(updated.map(([id, entry]) => record(id, entry))),
      );
    }
  }

  /** Folders that stand where files are to be put go first. */
  async #clearFolders(folder: FolderRow, parentPath: string, puts: readonly FilePut[]): Promise<void> {
    const any = await this.#tx.get('select id from folders where parent = $1 limit 1', folder.id);
    if (!any) return;
    for (const { path, name } of puts) {
      if (await this.#child(folder, parentPath, name)) await this.#delete(path);
    }
  }

  async #putFolder(path: string, entry: StoredEntry): Promise<void> {
    const row = (await this.#folder(path)) ?? (await this.#makeFolder(path, entry));
    if (row.mtimeUs === entry.mtimeUs && row.inode === entry.inode) return;
    await this.#tx.run('update folders set mtime_us = $2, inode = $3 where id = $1', row.id, entry.mtimeUs, entry.inode);
    this.#folders.set(path, { ...row, mtimeUs: entry.mtimeUs, inode: entry.inode });
  }

  async #delete(path: string): Promise<void> {
    if (path === '') throw failedPrecondition('The root of an index cannot be deleted');
    const parent = await this.#folder(parentOf(path));
    if (!parent) return;
    const file = await this.#file(parent, nameOf(path));
    if (file) return this.#deleteFile(parent, path, file);
    const folder = await this.#folder(path);
    if (!folder) return;
    const node = await this.#folderNode(folder, path);
    const below = 'select id from folders where pos between $1 and $2';
    await this.#tx.run(`delete from files where folder in (${below})`, folder.pos, folder.last);
    await this.#tx.run('delete from folders where pos between $1 and $2', folder.pos, folder.last);
    this.#forget(path);
    this.events.push({ kind: 'deleted', node });
  }

  async #deleteFile(parent: FolderRow, path: string, file: FileRow): Promise<void> {
    await this.#tx.run('delete from files where id = $1', file.id);
    const owed = this.#owedTo(parent.id);
    owed.files -= 1;
    owed.bytes -= file.size;
    this.events.push({ kind: 'deleted', node: fileNode(file, path) });
  }

  /** Moves what is at a path; what is at the new one is deleted first. */
  async #move(path: string, newPath: string): Promise<void> {
    if (path === newPath) return;
    if (path === '' || newPath.startsWith(`${path}/`) || path.startsWith(`${newPath}/`))
      throw failedPrecondition(`Cannot move ${JSON.stringify(path)} into itself or over a folder around it`, {
        reason: 'move_into_itself',
      });
    const parent = await this.#folder(parentOf(path));
    const file = parent && (await this.#file(parent, nameOf(path)));
    if (!file && !(parent && (await this.#folder(path))))
      throw notFound(`Cannot move ${JSON.stringify(path)}: the index does not know it`, { reason: 'node_missing' });
    await this.#delete(newPath);
    const target = await this.#ensureFolder(parentOf(newPath));
    if (file) return this.#moveFile(file, parent, path, target, newPath);
    // Deleting and making folders may have renumbered it.
    const folder = await this.#folder(path);
    if (folder) await this.#moveFolder(folder, path, target, newPath);
  }

  async #moveFile(file: FileRow, parent: FolderRow, path: string, target: FolderRow, newPath: string): Promise<void> {
    await this.#tx.run('update files set folder = $2, name = $3 where id = $1', file.id, target.id, nameOf(newPath));
    const [from, to] = [this.#owedTo(parent.id), this.#owedTo(target.id)];
    from.files -= 1;
    from.bytes -= file.size;
    to.files += 1;
    to.bytes += file.size;
    this.events.push({ kind: 'moved', node: fileNode(file, newPath), oldPath: path });
  }

  async #moveFolder(folder: FolderRow, path: string, target: FolderRow, newPath: string): Promise<void> {
    const name = `${nameOf(newPath)}/`;
    let moved = folder;
    const low = await this.#placeFor(target, name, folder.id);
    const high = await labelAfter(this.#tx, low);
    if (high !== folder.pos) {
      await this.#relabelSubtree(folder, target, name, low, high);
      moved = await this.#byId(folder.id);
    }
    await this.#tx.run('update folders set parent = $2, name = $3 where id = $1', folder.id, target.id, name);
    this.#folders.clear();
    const newParent = await this.#folder(parentOf(newPath));
    if (newParent) await this.#growTo(parentOf(newPath), moved.last);
    const node = await this.#folderNode(moved, newPath);
    this.events.push({ kind: 'moved', node, oldPath: path });
  }

  /** Gives a folder and all below it labels right after `low`, where the gap ends at `high`. */
  async #relabelSubtree(folder: FolderRow, target: FolderRow, name: string, low: number, high: number): Promise<void> {
    const width = folder.last - folder.pos;
    const run = labelsBetween(low, high, 1);
    if (run && run.first + width < high) {
      const sql = 'update folders set pos = pos + $1, last = last + $1 where pos between $2 and $3';
      await this.#tx.run(sql, run.first - folder.pos, folder.pos, folder.last);
      return;
    }
    const sql = 'select id, parent, pos, last from folders where pos between $1 and $2 order by pos';
    let rows = await this.#tx.all<LabelledFolder>(sql, folder.pos, folder.last);
    let labels = labelsBetween(low, high, rows.length);
    if (!labels) {
      await makeRoom(this.#tx, low, rows.length);
      this.#folders.clear();
      const again = await this.#byId(folder.id);
      const place = await this.#placeFor(await this.#byId(target.id), name, folder.id);
      rows = await this.#tx.all<LabelledFolder>(sql, again.pos, again.last);
      labels = await freeLabels(this.#tx, place, rows.length);
      if (!labels) throw new Error('Renumbering the index made no room');
    }
    const { first, step } = labels;
    await relabel(
      this.#tx,
      rows,
      rows.map((_, at) => first + at * step),
      Number.POSITIVE_INFINITY,
    );
  }

  async #ensureFolder(path: string): Promise<FolderRow> {
    return (await this.#folder(path)) ?? (await this.#makeFolder(path, noEntry));
  }

  async #makeFolder(path: string, entry: StoredEntry): Promise<FolderRow> {
    const parentPath = parentOf(path);
    let parent = await this.#ensureFolder(parentPath);
    const file = await this.#file(parent, nameOf(path));
    if (file) await this.#deleteFile(parent, path, file);
    const name = `${nameOf(path)}/`;
    let low = await this.#placeFor(parent, name, 0);
    let run = await freeLabels(this.#tx, low, 1);
    if (!run) {
      await makeRoom(this.#tx, low, 1);
      this.#folders.clear();
      parent = await this.#ensureFolder(parentPath);
      low = await this.#placeFor(parent, name, 0);
      run = await freeLabels(this.#tx, low, 1);
      if (!run) throw new Error('Renumbering the index made no room');
    }
    const { mtimeUs, inode } = entry;
    const row: FolderRow = { id: this.#nextId++, parent: parent.id, name, pos: run.first, last: run.first, mtimeUs, inode };
    await this.#tx.run(
      `insert into folders (id, parent, name, pos, last, own_files, own_bytes, mtime_us, inode) values ($1, $2, $3, $4, $4, 0, 0, $5, $6)`,
      ...[row.id, parent.id, name, row.pos, mtimeUs, inode],
    );
    await this.#growTo(parentPath, row.pos);
    this.#remember(path, row);
    this.events.push({ kind: 'created', node: { ...entry, isFolder: true, sizeBytes: 0, etag: '', id: row.id, path, files: 0 } });
    return row;
  }

  /** The label after which a folder of that name belongs in its parent: that of its last neighbour before, or the parent's own. */
  async #placeFor(parent: LabelledFolder, name: string, except: number): Promise<number> {
    const before = await this.#tx.get<{ last: number }>(
      'select last from folders where parent = $1 and name < $2 and id <> $3 order by name desc limit 1',
      parent.id,
      name,
      except,
    );
    return before?.last ?? parent.pos;
  }

  /** Makes the intervals of a folder and those around it reach a label. */
  async #growTo(path: string, label: number): Promise<void> {
    for (let at = path; ; at = parentOf(at)) {
      const row = await this.#folder(at);
      if (!row || row.last >= label) return;
      await this.#tx.run('update folders set last = $2 where id = $1', row.id, label);
      this.#remember(at, { ...row, last: label });
      if (at === '') return;
    }
  }

  async #folderNode(folder: FolderRow, path: string): Promise<StoredNode> {
    await this.#settle();
    const sum = await this.#tx.get<{ files: number; bytes: number }>(
      'select sum(own_files) as files, sum(own_bytes) as bytes from folders where pos between $1 and $2',
      folder.pos,
      folder.last,
    );
    const { id, mtimeUs, inode } = folder;
    return { id, path, isFolder: true, files: sum?.files ?? 0, sizeBytes: sum?.bytes ?? 0, mtimeUs, inode, etag: '' };
  }

  /** Writes what folders are owed to their rows; before any sum is read. */
  async #settle(): Promise<void> {
    for (const [id, { files, bytes }] of this.#owed) {
      if (files !== 0 || bytes !== 0)
        await this.#tx.run(
          'update folders set own_files = own_files + $2, own_bytes = own_bytes + $3 where id = $1',
          id,
          files,
          bytes,
        );
    }
    this.#owed.clear();
  }

  #owedTo(id: number): { files: number; bytes: number } {
    const owed = this.#owed.get(id) ?? { files: 0, bytes: 0 };
    this.#owed.set(id, owed);
    return owed;
  }

  async #folder(path: string): Promise<FolderRow | undefined> {
    const known = this.#folders.get(path);
    if (known) return known;
    if (path === '')
      return this.#loaded('', await this.#tx.get<FolderRow>(`select ${folderColumns} from folders where parent = 0`));
    const parentPath = parentOf(path);
    const parent = await this.#folder(parentPath);
    return parent && (await this.#child(parent, parentPath, nameOf(path)));
  }

  async #child(parent: FolderRow, parentPath: string, name: string): Promise<FolderRow | undefined> {
    const path = parentPath === '' ? name : `${parentPath}/${name}`;
    const sql = `select ${folderColumns} from folders where parent = $1 and name = $2`;
    return this.#folders.get(path) ?? this.#loaded(path, await this.#tx.get<FolderRow>(sql, parent.id, `${name}/`));
  }

  #loaded(path: string, row: FolderRow | undefined): FolderRow | undefined {
    if (row) this.#remember(path, row);
    return row;
  }

  #remember(path: string, row: FolderRow): void {
    if (this.#folders.size >= foldersMax) this.#folders.clear();
    this.#folders.set(path, row);
  }

  async #byId(id: number): Promise<FolderRow> {
    const row = await this.#tx.get<FolderRow>(`select ${folderColumns} from folders where id = $1`, id);
    if (!row) throw new Error(`The index lost folder ${id} while changing it`);
    return row;
  }

  async #file(parent: FolderRow, name: string): Promise<FileRow | undefined> {
    return this.#tx.get<FileRow>(`select ${fileColumns} from files where folder = $1 and name = $2`, parent.id, name);
  }

  #forget(path: string): void {
    for (const known of this.#folders.keys()) if (known === path || known.startsWith(`${path}/`)) this.#folders.delete(known);
  }
}

/** The longest run of files put into one folder that starts at `at`, each name once. */
function fileRun(changes: readonly TreeChange[], at: number): FilePut[] {
  const run: FilePut[] = [];
  const names = new Set<string>();
  let parent: string | undefined;
  for (let index = at; index < changes.length; index++) {
    const change = changes[index] as TreeChange;
    if (change.kind !== 'put' || change.entry.isFolder) break;
    const { path, entry } = change;
    const [own, name] = [parentOf(path), nameOf(path)];
    parent ??= own;
    if (own !== parent || names.has(name)) break;
    names.add(name);
    run.push({ path, name, entry });
  }
  return run;
}

function fileNode({ id, size, mtimeUs, inode, etag }: FileRow, path: string): StoredNode {
  return { id, path, isFolder: false, sizeBytes: size, mtimeUs, inode, etag, files: 0 };
}

export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
