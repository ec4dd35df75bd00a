import { deletesUnconfirmed } from './decisions.ts';
import { type DeleteLimits, isTooMany } from './delete-limits.ts';
import { look, type WalkedEntry, walkDisk } from './disk.ts';
import type { TreeEntry } from './entry.ts';
import { batchSize, type KnownTree } from './known-tree.ts';
import { type Difference, mergeWalks } from './merge.ts';
import { countSkipped, type PassProgress } from './pass-progress.ts';
import { type Looked, outermost, type PlannedChange, planChanges } from './plan-changes.ts';
import type { RootFolder } from './root-folder.ts';
import type { Watches } from './watches.ts';

export interface FolderPassOptions {
  readonly root: RootFolder;
  readonly known: KnownTree;
  readonly watches: Watches;
  readonly limits: DeleteLimits;
  /** Counts, and tells nothing. */
  readonly isDryRun: boolean;
  /** Deletes however much it is. */
  readonly isConfirmed: boolean;
  readonly progress: PassProgress;
  readonly signal: AbortSignal;
}

type Gone = Extract<Difference, { kind: 'delete' }>;
type Found = Exclude<Difference, Gone>;

/** Deletions are kept until the end of a pass, to find moves and to see whether they are too many; so many at most. */
const deletesMax = 100_000;

/** One comparison of a folder and all below with the index. */
export class FolderPass {
  readonly #options: FolderPassOptions;
  #found: Found[] = [];
  #gone: Gone[] = [];
  #goneNodes = 0;
  readonly #movedFolders: string[] = [];
  /** What was known before; asked when something is gone only, since it is a sum over all folders. */
  #total: number | undefined;

  constructor(options: FolderPassOptions) {
    this.#options = options;
  }

  /** Errors: `deletes_unconfirmed`, `folder_missing`; those of the disk and the index. */
  async run(folder: string): Promise<void> {
    for await (const difference of this.#differences(folder)) {
      if (difference.kind === 'delete') await this.#addGone(difference);
      else this.#addFound(difference);
      if (this.#found.length >= batchSize) await this.#tellFound();
    }
    await this.#tellFound();
    await this.#tellGone();
    // What was taken along but is not in the folder any more was passed over as part of what seemed gone.
    for (const moved of outermost(this.#movedFolders)) await new FolderPass(this.#options).run(moved);
  }

  #differences(folder: string): AsyncIterable<Difference> {
    const { root, known, watches, progress, signal } = this.#options;
    const disk = walkDisk(root.path, folder, {
      onFolder: (path, inode) => watches.add(path, inode),
      onSkip: (path, reason) => countSkipped(progress, path, reason),
      epoch: () => known.epoch,
      signal,
    });
    return mergeWalks({ disk, index: known.walk(folder, signal), onSeen: (count) => (progress.seen += count) });
  }

  #addFound(difference: Found): void {
    const { isDryRun, progress } = this.#options;
    this.#found.push(difference);
    if (isDryRun && difference.kind === 'create') progress.created += 1;
    if (isDryRun && difference.kind === 'update' && !difference.isQuiet) progress.updated += 1;
  }

  async #addGone(difference: Gone): Promise<void> {
    this.#goneNodes += difference.nodes;
    if (this.#gone.length >= deletesMax) {
      if (this.#options.isDryRun || !(await this.#mayDelete(this.#goneNodes))) return;
      await this.#delete();
    }
    this.#gone.push(difference);
  }

  /** Tells what came or changed; what seemed gone and turns out to be moved is taken from there. */
  async #tellFound(): Promise<void> {
    const { known, watches, progress, isDryRun } = this.#options;
    const found = this.#found;
    this.#found = [];
    if (isDryRun || found.length === 0) return;
    await known.exclusively(async () => {
      const { changes } = planChanges([...found.map((one) => this.#lookAgain(one)), ...this.#gone.map(lookedGone)]);
      const told = changes.filter(({ kind }) => kind !== 'delete');
      const moved = new Set<string>();
      for (const change of told) {
        if (change.kind !== 'move') continue;
        moved.add(change.path);
        if (!change.isFolder) continue;
        this.#movedFolders.push(change.newPath);
        watches.move(change.path, change.newPath);
      }
      const { created, updated } = await known.tell(told);
      progress.created += created;
      progress.moved += moved.size;
      progress.updated += updated - moved.size;
      this.#gone = this.#gone.filter(({ entry }) => !moved.has(entry.path));
    });
  }

  /** Deletes what is gone in the end, when it is not too much. */
  async #tellGone(): Promise<void> {
    const { root, progress, isDryRun } = this.#options;
    // Moves are no deletions any more.
    const left = this.#gone.length < deletesMax ? this.#gone.reduce((sum, { nodes }) => sum + nodes, 0) : this.#goneNodes;
    if (isDryRun) {
      progress.deleted += left;
      return;
    }
    if (left > 0 && !(await this.#mayDelete(left))) throw deletesUnconfirmed(root.path, left, this.#total ?? 0);
    await this.#delete();
  }

  async #delete(): Promise<void> {
    const gone = this.#gone;
    this.#gone = [];
    for (let at = 0; at < gone.length; at += batchSize) await this.#deleteBatch(gone.slice(at, at + batchSize));
  }

  async #deleteBatch(gone: readonly Gone[]): Promise<void> {
    const { root, known, watches, progress } = this.#options;
    await known.exclusively(async () => {
      // Only what is still gone; something may have been put there since the folder was read.
      const still = gone.filter(({ entry }) => look(root.path, entry.path) === 'nothing');
      root.assertSame();
      await known.tell(still.map(({ entry, nodes }): PlannedChange => ({ kind: 'delete', path: entry.path, nodes })));
      for (const { entry, nodes } of still) {
        watches.remove(entry.path);
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

  #lookAgain({ kind, entry }: Found): Looked {
    const { path } = entry;
    // An update is told as a new entry: the index itself sees what is different.
    return { path, seen: this.#fresh(entry), known: kind === 'create' ? undefined : noEntry(path), nodes: 1 };
  }

  /** An entry as it is now, when the index has changed since it was looked at. */
  #fresh(entry: WalkedEntry): TreeEntry | 'unknown' {
    const { root, known } = this.#options;
    if (entry.epoch === known.epoch) return entry;
    const seen = look(root.path, entry.path);
    return typeof seen === 'object' ? seen : 'unknown';
  }
}

function lookedGone({ entry, nodes }: Gone): Looked {
  return { path: entry.path, seen: 'nothing', known: entry, nodes };
}

/** Stands for what the index has when only the index needs to know: it differs from everything. */
function noEntry(path: string): TreeEntry {
  return { path, isFolder: false, sizeBytes: -1, mtimeUs: -1, inode: -1 };
}
