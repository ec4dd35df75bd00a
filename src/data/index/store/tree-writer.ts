import type { Transaction } from '#kernel/database/database.ts';
import { failedPrecondition, notFound } from '#kernel/fault.ts';
import { nameOf, parentOf } from '#lib/tree-path.ts';
import { type FilePut, fileRun } from './file-run.ts';
import { FileWriter } from './file-writer.ts';
import { FolderLabels } from './folder-labels.ts';
import { FolderRows } from './folder-rows.ts';
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
  #nextId: number;

  private constructor(tx: Transaction, nextId: number) {
    this.#tx = tx;
    this.#nextId = nextId;
    this.#folders = new FolderRows(tx);
    this.#labels = new FolderLabels(tx, this.#folders);
    this.#sums = new OwnSums(tx);
    this.#files = new FileWriter({
      tx,
      sums: this.#sums,
      newId: () => this.#nextId++,
      onEvent: (event) => this.events.push(event),
    });
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
      if (run.length > 0) await this.#putFiles(parentOf(change.path), run);
      else if (change.kind === 'put') await this.#putFolder(change.path, change.entry);
      else if (change.kind === 'delete') await this.#delete(change.path);
      else if (change.kind === 'move') await this.#move(change.path, change.newPath);
      at += Math.max(1, run.length);
    }
  }

  async finish(sourcePosition: number | undefined): Promise<void> {
    await this.#sums.settle();
    await this.#tx.run(
      'update state set next_id = $1, source_position = coalesce($2, source_position)',
      this.#nextId,
      sourcePosition ?? null,
    );
  }

  async #putFiles(parentPath: string, puts: readonly FilePut[]): Promise<void> {
    const folder = await this.#ensureFolder(parentPath);
    // Folders that stand where files are to be put go first.
    if (await this.#folders.hasChildren(folder)) {
      for (const { path, name } of puts) if (await this.#folders.child(folder, parentPath, name)) await this.#delete(path);
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
    if (path === '' || newPath.startsWith(`${path}/`) || path.startsWith(`${newPath}/`))
      throw failedPrecondition(`Cannot move ${JSON.stringify(path)} into itself or over a folder around it`, {
        reason: 'move_into_itself',
      });
    const parent = await this.#folders.find(parentOf(path));
    const file = parent && (await this.#files.find(parent, nameOf(path)));
    if (!file && !(parent && (await this.#folders.find(path))))
      throw notFound(`Cannot move ${JSON.stringify(path)}: the index does not know it`, { reason: 'node_missing' });
    await this.#delete(newPath);
    const target = await this.#ensureFolder(parentOf(newPath));
    if (file) return this.#files.move(file, parent, path, target, newPath);
    // Deleting and making folders may have renumbered it.
    const folder = await this.#folders.find(path);
    if (folder) await this.#moveFolder(folder, path, target, newPath);
  }

  async #moveFolder(folder: FolderRow, oldPath: string, target: FolderRow, path: string): Promise<void> {
    const name = `${nameOf(path)}/`;
    await this.#labels.moveTo(folder, target, name);
    await this.#tx.run('update folders set parent = $2, name = $3 where id = $1', folder.id, target.id, name);
    this.#folders.forgetAll();
    const moved = await this.#folders.byId(folder.id);
    await this.#labels.growTo(parentOf(path), moved.last);
    this.events.push({ kind: 'moved', node: folderNode(moved, path, await this.#sums.below(moved)), oldPath });
  }

  async #ensureFolder(path: string, entry = noEntry): Promise<FolderRow> {
    return (await this.#folders.find(path)) ?? (await this.#makeFolder(path, entry));
  }

  async #makeFolder(path: string, entry: StoredEntry): Promise<FolderRow> {
    const parentPath = parentOf(path);
    const parent = await this.#ensureFolder(parentPath);
    const file = await this.#files.find(parent, nameOf(path));
    if (file) await this.#files.delete(parent, path, file);
    const name = `${nameOf(path)}/`;
    const pos = await this.#labels.take(parent, name);
    const { mtimeUs, inode } = entry;
    const row: FolderRow = { id: this.#nextId++, parent: parent.id, name, pos, last: pos, mtimeUs, inode };
    await this.#tx.run(
      `insert into folders (id, parent, name, pos, last, own_files, own_bytes, mtime_us, inode) values ($1, $2, $3, $4, $4, 0, 0, $5, $6)`,
      ...[row.id, parent.id, name, pos, mtimeUs, inode],
    );
    await this.#labels.growTo(parentPath, pos);
    this.#folders.remember(path, row);
    this.events.push({ kind: 'created', node: folderNode(row, path) });
    return row;
  }
}
