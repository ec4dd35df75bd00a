import { deletesUnconfirmed, folderMissing, mountAway, type Subject } from './decisions.ts';
import { type DeleteLimits, isTooMany } from './delete-limits.ts';
import type { TreeEntry } from './entry.ts';
import { type KnownTree, Teller } from './known-tree.ts';
import type { PassProgress } from './pass-progress.ts';
import { type Looked, outermost, type PlannedChange, planChanges } from './plan-changes.ts';
import type { Difference, Seen, Storage } from './storage.ts';
import type { Watches } from './watches.ts';

export interface FolderPassOptions {
  readonly subject: Subject;
  readonly storage: Storage;
  readonly known: KnownTree;
  readonly watches: Watches;
  readonly limits: DeleteLimits;
  /** Counts, and tells nothing. */
  readonly isDryRun: boolean;
  /** Deletes however much it is. */
  readonly isConfirmed: boolean;
  /** The index knows nothing yet: there is nothing to compare with. */
  readonly isFirst: boolean;
  /** A file was told that was written just now, and may be still. */
  readonly onFresh: (path: string) => void;
  readonly progress: PassProgress;
  readonly signal: AbortSignal;
}

type Gone = Extract<Difference, { kind: 'delete' }>;
type Found = Exclude<Difference, Gone>;

/** Deletions are kept until the end of a pass, to find moves and to see whether they are too many; so many at most. */
const deletesMax = 100_000;
/** New entries are kept as well, since what they were moved from may come later. Beyond so many they are told, and such moves missed. */
const foundMax = 20_000;
/** There is nothing to wait for in a first pass. */
const foundFirstMax = 1000;
const deleteBatch = 1000;
const examplesMax = 20;
/** A file that was written since may be written still. */
const freshMs = 2000;

/** One comparison of a folder and all below with the index. */
export class FolderPass {
  readonly #options: FolderPassOptions;
  readonly #teller = new Teller();
  #found: Found[] = [];
  #gone: Gone[] = [];
  #goneNodes = 0;
  /** Folders that are new to the index and were not moved there, to be walked. */
  #newFolders: string[] = [];
  readonly #movedFolders: string[] = [];
  /** What is being told while the walk goes on. */
  #telling: Promise<void> = Promise.resolve();
  /** What was known before; asked when something is gone only, since it is a sum over all folders. */
  #total: number | undefined;

  constructor(options: FolderPassOptions) {
    this.#options = options;
  }

  /** Errors: `deletes_unconfirmed`, `mount_away`, `folder_missing`; those of the storage and the index. */
  async run(folder: string): Promise<void> {
    const { storage, subject, isDryRun, isFirst, progress } = this.#options;
    try {
      await this.#walk(folder, !isFirst);
      while (this.#newFolders.length > 0) {
        const folders = this.#newFolders;
        this.#newFolders = [];
        for (const path of folders) await this.#walk(path, false);
      }
    } finally {
      await this.#telling.catch(() => undefined); // It is thrown where it is awaited; here only its end matters.
    }
    progress.phase = 'deleting';
    await this.#tellGone();
    // What was taken along but is not in the folder any more was passed over as part of what seemed gone.
    if (!isDryRun) for (const moved of outermost(this.#movedFolders)) await new FolderPass(this.#options).run(moved);
    const lost = isDryRun ? [] : storage.mounts.lostAt(folder);
    if (lost.length > 0) throw mountAway(subject, lost);
  }

  async #walk(folder: string, areNewFoldersWhole: boolean): Promise<void> {
    const { storage, known, watches, progress, isConfirmed, isFirst, signal } = this.#options;
    const differences = storage.compare(folder, known, {
      areNewFoldersWhole,
      isConfirmed,
      onFolder: (path, inode) => {
        progress.currentPath = path;
        watches.add(path, inode);
      },
      onSeen: (count, escaped) => progress.see(count, escaped),
      onSkip: (path, reason) => progress.skip(path, reason),
      epoch: () => known.epochFor(this.#teller),
      signal,
    });
    for await (const piece of differences) {
      for (const one of piece) {
        if (one.kind === 'delete') await this.#addGone(one);
        else this.#found.push(one);
      }
      if (this.#found.length >= (isFirst ? foundFirstMax : foundMax)) await this.#tellFoundAside();
    }
    await this.#tellFoundAside();
    await this.#telling;
  }

  async #addGone(difference: Gone): Promise<void> {
    this.#goneNodes += difference.nodes;
    if (this.#gone.length >= deletesMax) {
      if (this.#options.isDryRun || !(await this.#mayDelete(this.#goneNodes))) return;
      await this.#delete();
    }
    this.#gone.push(difference);
  }

  /** Tells what came or changed, while the walk goes on. */
  async #tellFoundAside(): Promise<void> {
    const found = this.#found;
    this.#found = [];
    await this.#telling;
    this.#telling = this.#tellFound(found);
    this.#telling.catch(() => undefined); // Thrown where it is awaited.
  }

  /** What seemed gone and turns out to be moved is taken from there. */
  async #tellFound(found: readonly Found[]): Promise<void> {
    const { known, watches, progress, isDryRun, isFirst } = this.#options;
    if (found.length === 0) return;
    await known.exclusively(async () => {
      const { changes } = planChanges([...(await this.#lookAgain(found)), ...this.#gone.map(lookedGone)]);
      const told = changes.filter(({ kind }) => kind !== 'delete');
      const moves = told.filter((change) => change.kind === 'move');
      this.#note(found, told);
      if (isDryRun) this.#count(found, moves);
      else {
        const { created, updated } = await known.tell(told, { by: this.#teller, isQuiet: isFirst });
        progress.created += created;
        progress.updated += updated - moves.length;
      }
      progress.moved += moves.length;
      for (const { path, newPath, isFolder } of moves) {
        if (!isFolder || isDryRun) continue;
        this.#movedFolders.push(newPath);
        watches.move(path, newPath);
      }
      const from = new Set(moves.map(({ path }) => path));
      const to = new Set(moves.map(({ newPath }) => newPath));
      this.#gone = this.#gone.filter(({ entry }) => !from.has(entry.path));
      for (const one of found) if ('isWhole' in one && !to.has(one.entry.path)) this.#newFolders.push(one.entry.path);
    });
  }

  #count(found: readonly Found[], moves: readonly { readonly newPath: string }[]): void {
    const { progress } = this.#options;
    progress.created += found.filter(({ kind }) => kind === 'create').length - moves.length;
    progress.updated += found.filter((one) => one.kind === 'update' && !one.isQuiet).length;
  }

  #note(found: readonly Found[], told: readonly PlannedChange[]): void {
    const { progress, isDryRun, onFresh } = this.#options;
    const now = Date.now();
    const moved = new Set(told.map((change) => (change.kind === 'move' ? change.newPath : '')));
    for (const change of told) if (change.kind === 'move') progress.note({ ...change, nodes: this.#nodesOf(change.path) });
    for (const one of found) {
      const { path, isFolder, mtimeUs } = one.entry;
      if (!isDryRun && !isFolder && Math.abs(now - mtimeUs / 1000) < freshMs) onFresh(path);
      const isQuiet = one.kind === 'update' && one.isQuiet;
      if (!isQuiet && !moved.has(path)) progress.note({ kind: one.kind, path, isFolder, nodes: 1 });
    }
  }

  #nodesOf(path: string): number {
    return this.#gone.find(({ entry }) => entry.path === path)?.nodes ?? 1;
  }

  /** Deletes what is gone in the end, when it is not too much. */
  async #tellGone(): Promise<void> {
    const { subject, storage, progress, isDryRun, isConfirmed } = this.#options;
    const isWhole = this.#gone.length < deletesMax;
    // Where a disk is not mounted any more, what was on it is kept.
    if (!isConfirmed) this.#gone = this.#gone.filter(({ entry }) => storage.mounts.lostAt(entry.path).length === 0);
    // Moves are no deletions any more.
    const left = isWhole ? this.#gone.reduce((sum, { nodes }) => sum + nodes, 0) : this.#goneNodes;
    for (const { entry, nodes } of this.#gone)
      progress.note({ kind: 'delete', path: entry.path, isFolder: entry.isFolder, nodes });
    if (isDryRun) {
      progress.deleted += left;
      return;
    }
    if (left > 0 && !(await this.#mayDelete(left))) {
      const examples = this.#gone.slice(0, examplesMax).map(({ entry }) => entry.path);
      throw deletesUnconfirmed(subject, left, this.#total ?? 0, examples);
    }
    await this.#delete();
  }

  async #delete(): Promise<void> {
    const gone = this.#gone;
    this.#gone = [];
    for (let at = 0; at < gone.length; at += deleteBatch) await this.#deleteBatch(gone.slice(at, at + deleteBatch));
  }

  async #deleteBatch(gone: readonly Gone[]): Promise<void> {
    const { storage, known, watches, progress } = this.#options;
    await known.exclusively(async () => {
      // Only what is still gone; something may have been put there since the folder was read.
      const seen = await storage.look(gone.map(({ entry }) => entry.path));
      const still = gone.filter((_, at) => seen[at] === 'nothing');
      if (!storage.root.isSame()) throw folderMissing(storage.place);
      const changes = still.map(({ entry, nodes }): PlannedChange => ({ kind: 'delete', path: entry.path, nodes }));
      await known.tell(changes, { by: this.#teller });
      for (const { entry, nodes } of still) {
        watches.remove(entry.path);
        storage.mounts.forgetWithin(entry.path);
        progress.deleted += nodes;
      }
    });
  }

  async #mayDelete(nodes: number): Promise<boolean> {
    const { known, limits, isConfirmed, progress } = this.#options;
    if (isConfirmed) return true;
    this.#total ??= (await known.total()) - progress.created;
    return !isTooMany(limits, nodes, this.#total);
  }

  /** Entries as they are now, where others have changed the index since they were looked at. */
  async #lookAgain(found: readonly Found[]): Promise<Looked[]> {
    const { storage, known } = this.#options;
    const epoch = known.epochFor(this.#teller);
    const old = found.filter(({ entry }) => entry.epoch !== epoch).map(({ entry }) => entry.path);
    const looks = await storage.look(old);
    const fresh = new Map<string, Seen>(old.map((path, at) => [path, looks[at] ?? 'unknown']));
    return found.map(({ kind, entry }): Looked => {
      const { path } = entry;
      const again = fresh.get(path);
      const seen = again === undefined ? entry : typeof again === 'object' ? again : 'unknown';
      // An update is told as a new entry: the index itself sees what is different.
      return { path, seen, known: kind === 'create' ? undefined : noEntry(path), nodes: 1 };
    });
  }
}

function lookedGone({ entry, nodes }: Gone): Looked {
  return { path: entry.path, seen: 'nothing', known: entry, nodes };
}

/** Stands for what the index has when only the index needs to know: it differs from everything. */
function noEntry(path: string): TreeEntry {
  return { path, isFolder: false, sizeBytes: -1, mtimeUs: -1, inode: -1 };
}
