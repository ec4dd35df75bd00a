import type { Transaction } from '#kernel/database/database.ts';
import { Code, Fault, failedPrecondition, notFound } from '#kernel/fault.ts';
import { nameOf, parentOf } from '#lib/tree-path.ts';
import { type CopiedFolder, copiedAtOnce, countBelow, selectBelow, subtreeEnds } from './copied-folders.ts';
import { type FilePut, fileRun } from './file-run.ts';
import { FileWriter } from './file-writer.ts';
import { FolderLabels } from './folder-labels.ts';
import { FolderRows } from './folder-rows.ts';
import { type FolderValues, insertFolders } from './insert-rows.ts';
import { OwnSums } from './own-sums.ts';
import { type FolderRow, folderNode } from './rows.ts';
import type { StoredEntry, TreeChange, TreeEvent } from './store.ts';

const noEntry: StoredEntry = { isFolder: true, sizeBytes: 0, mtimeUs: 0, inode: 0, etag: '' };

/** Makes changes in one open transaction, and collects what really changed. Ends with `finish`. */
export class TreeWriter {
  readonly events: TreeEvent[] = [];
  readonly #tx: Transaction;
  readonly #folders: FolderRows;
  readonly #labels: FolderLabels;
  readonly #sums: OwnSums;
  readonly #files: FileWriter;
  readonly #isQuiet: boolean;
  /** How many files came quietly, by path of the folder. */
  readonly #filled = new Map<string, number>();
  #nextId: number;

  private constructor(tx: Transaction, nextId: number, isQuiet: boolean) {
    this.#tx = tx;
    this.#nextId = nextId;
    this.#isQuiet = isQuiet;
    this.#folders = new FolderRows(tx);
    this.#labels = new FolderLabels(tx, this.#folders);
    this.#sums = new OwnSums(tx);
    this.#files = new FileWriter({
      tx,
      sums: this.#sums,
      newId: () => this.#nextId++,
      isNew: (folder) => folder >= nextId,
      onRanked: () => this.#folders.forgetAll(),
      onEvent: (event) => this.#tell(event),
    });
  }

  static async begin(tx: Transaction, isQuiet = false): Promise<TreeWriter> {
    // An update, so that on PostgreSQL a second writer waits here.
    const state = await tx.get<{ nextId: number }>('update state set next_id = next_id returning next_id as "nextId"');
    if (!state) throw failedPrecondition('The index has no root yet');
    return new TreeWriter(tx, state.nextId, isQuiet);
  }

  async apply(changes: readonly TreeChange[]): Promise<void> {
    for (let at = 0; at < changes.length; ) {
      const run = fileRun(changes, at);
      const change = changes[at] as TreeChange;
      if (run.length > 0) await this.#putFiles(parentOf(change.path), run);
      else if (change.kind === 'put') await this.#putFolder(change.path, change.entry);
      else if (change.kind === 'delete') await this.#delete(change.path);
      else if (change.kind === 'move') await this.#move(change.path, change.newPath);
      else if (change.kind === 'copy') await this.#copy(change.path, change.newPath);
      at += Math.max(1, run.length);
    }
  }

  async finish(sourcePosition: number | undefined): Promise<void> {
    await this.#settle();
    await this.#tellFilled();
    await this.#tx.run(
      'update state set next_id = $1, source_position = coalesce($2, source_position)',
      this.#nextId,
      sourcePosition ?? null,
    );
  }

  /** Writes all that is late, so that statements may change whole ranges. */
  async #settle(): Promise<void> {
    await this.#files.flush();
    await this.#sums.settle();
    await this.#folders.settle();
  }

  #tell(event: TreeEvent): void {
    const { kind, node } = event;
    if (!this.#isQuiet || kind !== 'created' || node.isFolder) {
      this.events.push(event);
      return;
    }
    const folder = parentOf(node.path);
    this.#filled.set(folder, (this.#filled.get(folder) ?? 0) + 1);
  }

  /** Before folders change their paths, and at the end. */
  async #tellFilled(): Promise<void> {
    const filled = [...this.#filled];
    this.#filled.clear();
    for (const [path, came] of filled) {
      const folder = await this.#folders.find(path);
      if (folder) this.events.push({ kind: 'filled', node: folderNode(folder, path, await this.#sums.below(folder)), came });
    }
  }

  async #putFiles(parentPath: string, puts: readonly FilePut[]): Promise<void> {
    let folder = await this.#ensureFolder(parentPath);
    // Folders that stand where files are to be put go first.
    const names = puts.map(({ name }) => name);
    for (const name of await this.#folders.childrenAmong(folder, names)) {
      await this.#delete(parentPath === '' ? name : `${parentPath}/${name}`);
      folder = await this.#ensureFolder(parentPath);
    }
    await this.#files.put(folder, puts);
  }

  async #putFolder(path: string, entry: StoredEntry): Promise<void> {
    const row = await this.#ensureFolder(path, entry);
    const { mtimeUs, inode } = entry;
    if (row.mtimeUs === mtimeUs && row.inode === inode) return;
    await this.#tx.run('update folders set mtime_us = $2, inode = $3 where id = $1', row.id, mtimeUs, inode);
    this.#folders.remember(path, { ...row, mtimeUs, inode });
  }

  async #delete(path: string): Promise<void> {
    if (path === '') throw failedPrecondition('The root of an index cannot be deleted');
    const parent = await this.#folders.find(parentOf(path));
    if (!parent) return;
    const file = await this.#files.find(parent, nameOf(path));
    if (file) return this.#files.delete(parent, path, file);
    const folder = await this.#folders.find(path);
    if (!folder) return;
    await this.#tellFilled();
    await this.#settle();
    const node = folderNode(folder, path, await this.#sums.below(folder));
    const below = 'select id from folders where pos between $1 and $2';
    await this.#tx.run(`delete from files where folder in (${below})`, folder.pos, folder.last);
    await this.#tx.run('delete from folders where pos between $1 and $2', folder.pos, folder.last);
    this.#folders.forget(path);
    this.events.push({ kind: 'deleted', node });
  }

  /** Moves what is at a path; what is at the new one is deleted first. */
  async #move(path: string, newPath: string): Promise<void> {
    if (path === newPath) return;
    const { file, parent } = await this.#source('move', path, newPath);
    await this.#delete(newPath);
    const target = await this.#ensureFolder(parentOf(newPath));
    if (file) return this.#files.move(file, parent, path, target, newPath);
    // Deleting and making folders may have renumbered it.
    const folder = await this.#folders.find(path);
    if (folder) await this.#moveFolder(folder, path, target, newPath);
  }

  /** Copies what is at a path; what is at the new one is deleted first, unless both are files. */
  async #copy(path: string, newPath: string): Promise<void> {
    if (path === newPath) return;
    const { file } = await this.#source('copy', path, newPath);
    if (file) {
      const { size: sizeBytes, mtimeUs, etag } = file;
      const entry: StoredEntry = { isFolder: false, sizeBytes, mtimeUs, inode: 0, etag };
      return this.#putFiles(parentOf(newPath), [{ path: newPath, name: nameOf(newPath), entry }]);
    }
    await this.#delete(newPath);
    const target = await this.#ensureFolder(parentOf(newPath));
    await this.#settle();
    const folder = await this.#folders.find(path);
    if (folder) await this.#copyFolder(folder, target, newPath);
  }

  /** What is to be moved or copied. Errors: `failed_precondition`, `not_found`. */
  async #source(verb: 'move' | 'copy', path: string, newPath: string) {
    if (path === '' || newPath.startsWith(`${path}/`) || path.startsWith(`${newPath}/`))
      throw failedPrecondition(`Cannot ${verb} ${JSON.stringify(path)} into itself or over a folder around it`, {
        reason: `${verb}_into_itself`,
      });
    await this.#tellFilled();
    const parent = await this.#folders.find(parentOf(path));
    const file = parent && (await this.#files.find(parent, nameOf(path)));
    if (!parent || !(file || (await this.#folders.find(path))))
      throw notFound(`Cannot ${verb} ${JSON.stringify(path)}: the index does not know it`, { reason: 'node_missing' });
    return { parent, file };
  }

  async #moveFolder(folder: FolderRow, oldPath: string, target: FolderRow, path: string): Promise<void> {
    const name = `${nameOf(path)}/`;
    await this.#labels.moveTo(folder, target, name);
    await this.#tx.run('update folders set parent = $2, name = $3 where id = $1', folder.id, target.id, name);
    this.#folders.noteChild(target.id);
    this.#folders.forgetAll();
    const moved = await this.#folders.byId(folder.id);
    await this.#labels.growTo(parentOf(path), moved.last);
    this.events.push({ kind: 'moved', node: folderNode(moved, path, await this.#sums.below(moved)), oldPath });
  }

  /** All rows of a subtree again, with new ids and labels. */
  async #copyFolder(folder: FolderRow, target: FolderRow, path: string): Promise<void> {
    const name = `${nameOf(path)}/`;
    const { count } = (await this.#tx.get<{ count: number }>(countBelow, folder.pos, folder.last)) ?? { count: 0 };
    const { first, step } = await this.#labels.takeMany(target, name, count);
    // Making room may have renumbered it.
    const { pos, last } = await this.#folders.byId(folder.id);
    const rows = await this.#tx.all<CopiedFolder>(selectBelow, pos, last);
    const ids = new Map<number, number>();
    const ends = subtreeEnds(rows);
    const copies = rows.map((row, at): FolderValues => {
      const id = this.#nextId++;
      ids.set(row.id, id);
      const [parent, ownName] = at === 0 ? [target.id, name] : [ids.get(row.parent) ?? id, row.name];
      const { ownFiles, ownBytes, mtimeUs, isRanked } = row;
      const labels = [first + at * step, first + (ends[at] ?? at) * step] as const;
      return [id, parent, ownName, ...labels, ownFiles, ownBytes, mtimeUs, 0, isRanked];
    });
    await insertFolders(this.#tx, copies);
    for (let at = 0; at < rows.length; at += copiedAtOnce) {
      const from = rows.slice(at, at + copiedAtOnce).map(({ id }) => id);
      const to = copies.slice(at, at + copiedAtOnce).map(([id]) => id);
      this.#nextId += await this.#files.copyAll(from, to, this.#nextId);
    }
    this.#folders.noteChild(target.id);
    this.#folders.forgetAll();
    const [top] = copies;
    if (!top) return;
    const copy = await this.#folders.byId(top[0]);
    await this.#labels.growTo(parentOf(path), copy.last);
    this.events.push({ kind: 'copied', node: folderNode(copy, path, await this.#sums.below(copy)) });
  }

  async #ensureFolder(path: string, entry = noEntry): Promise<FolderRow> {
    return (await this.#folders.find(path)) ?? (await this.#makeFolder(path, entry));
  }

  async #makeFolder(path: string, entry: StoredEntry): Promise<FolderRow> {
    if (path === '')
      throw new Fault(Code.DataLoss, 'Cannot change the index: its root is missing', {
        reason: 'index_damaged',
        hint: 'Let the index be checked and repaired.',
      });
    const parentPath = parentOf(path);
    const parent = await this.#ensureFolder(parentPath);
    const file = await this.#files.find(parent, nameOf(path));
    if (file) await this.#files.delete(parent, path, file);
    const name = `${nameOf(path)}/`;
    const pos = await this.#labels.take(parent, name);
    const { mtimeUs, inode } = entry;
    const row: FolderRow = {
      id: this.#nextId++,
      parent: parent.id,
      name,
      pos,
      last: pos,
      mtimeUs,
      inode,
      ownFiles: 0,
      isRanked: 0,
    };
    await this.#tx.run(
      `insert into folders (id, parent, name, pos, last, own_files, own_bytes, mtime_us, inode) values ($1, $2, $3, $4, $4, 0, 0, $5, $6)`,
      ...[row.id, parent.id, name, pos, mtimeUs, inode],
    );
    this.#folders.rememberNew(path, row);
    await this.#labels.growTo(parentPath, pos);
    this.events.push({ kind: 'created', node: folderNode(row, path) });
    return row;
  }
}
