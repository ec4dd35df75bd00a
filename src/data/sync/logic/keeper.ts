import type { Index } from '#gen/cellar/data/v1/index_pb.ts';
import type { Client } from '#kernel/calls/client.ts';
import { type Fault, failedPrecondition, notFound } from '#kernel/fault.ts';
import type { Log } from '#kernel/log.ts';
import { assertMeant } from './assert-meant.ts';
import { deletesUnconfirmed, folderMissing, isDecision, mountAway, type Subject } from './decisions.ts';
import { type DeleteLimits, isTooMany } from './delete-limits.ts';
import { FolderPass } from './folder-pass.ts';
import type { Hints } from './hints.ts';
import { KnownTree } from './known-tree.ts';
import { PassProgress } from './pass-progress.ts';
import type { PlannedChange } from './plan-changes.ts';
import { planHints } from './plan-hints.ts';
import type { Storage } from './storage.ts';
import type { Watches } from './watches.ts';

export interface KeeperOptions {
  readonly subject: Subject;
  readonly storage: Storage;
  readonly index: Client<typeof Index>;
  readonly watches: Watches;
  readonly limits: DeleteLimits;
  /** True: only what storage itself has changed is taken in. */
  readonly isPaused: () => boolean;
  /** A file was taken in that was written just now, and may be still. */
  readonly onFresh: (path: string) => void;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export interface PassOptions {
  /** Deletes however much it is. */
  readonly isConfirmed?: boolean;
  readonly signal?: AbortSignal;
  readonly progress?: PassProgress;
}

/**
 * Tells the index what storage says, and nothing else: whatever gave the hint, storage is asked again under a lock before the index is
 * told, so that hints may be late, doubled, or wrong. Every verb may be cut off and repeated.
 */
export class Keeper {
  readonly #options: KeeperOptions;
  readonly #known: KnownTree;
  #blocked: Fault | undefined;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#known = new KnownTree(options.index);
  }

  /** Why nothing is deleted until a person decides; `undefined`: all is well. */
  get blocked(): Fault | undefined {
    return this.#blocked;
  }

  /** A word that changes when storage comes, goes, or is another. Never rejects. */
  state(): Promise<string> {
    return this.#options.storage.root.state();
  }

  /** True when storage and all disks mounted in it are those that were compared. Never throws. */
  isSame(): boolean {
    const { root, mounts } = this.#options.storage;
    return root.isSame() && mounts.areThere();
  }

  /** Looks at paths and tells the index. What a person has to decide blocks, and is no error here. Errors: those of the index. */
  async examine(hints: Hints): Promise<void> {
    const { isPaused } = this.#options;
    const unknownFolders = await this.#known.exclusively(() => this.#examine(hints));
    const own = new Set(hints.paths);
    // While paused, what others have put into a folder that we write to waits.
    for (const folder of unknownFolders) {
      if (isPaused() && !own.has(folder)) continue;
      await this.pass(folder).catch((error: unknown) => {
        if (!isDecision(error)) throw error;
      });
    }
  }

  /** Covers a position without any change. */
  async cover(position: number): Promise<void> {
    await this.#known.exclusively(() => this.#known.tell([], { position }));
  }

  /**
   * Compares a folder and all below with the index and brings the index up to date; a dry run, which the progress says, only counts.
   * Errors: `failed_precondition` with reason `folder_missing`, `folder_empty`, `folder_other`, `mount_away` or `deletes_unconfirmed` when a
   * person has to decide; nothing was deleted then. `not_found` when neither storage nor index have the path. Those of the index.
   */
  async pass(folder: string, options: PassOptions = {}): Promise<PassProgress> {
    const { storage, signal } = this.#options;
    const { isConfirmed = false, progress = new PassProgress({ path: folder }) } = options;
    const { isDryRun } = progress;
    try {
      if (folder === '') await this.#takeRoot(isConfirmed, isDryRun);
      else if (!storage.root.isSame()) throw folderMissing(storage.place);
      const [known] = await this.#known.find([folder]);
      const expected = folder === '' ? await this.#known.total() : (known?.nodes ?? 0);
      progress.begin(expected);
      const pass = new FolderPass({
        ...this.#options,
        known: this.#known,
        ...{ isDryRun, isConfirmed, progress, isFirst: folder === '' && expected === 0 },
        signal: options.signal ? AbortSignal.any([options.signal, signal]) : signal,
      });
      await pass.run(folder);
      progress.phase = 'done';
      if (folder === '' && !isDryRun) this.#blocked = undefined;
    } catch (error) {
      if (!isDryRun && isDecision(error)) this.#block(error);
      throw error;
    }
    return progress;
  }

  /** The same for a path that a person has named: a file or a folder, there or gone. Errors: as those of `pass`. */
  async passBranch(path: string, options: PassOptions): Promise<PassProgress> {
    const { storage } = this.#options;
    const { isConfirmed = false, progress = new PassProgress({ path }) } = options;
    // The index refuses what is no path before the disk is asked.
    const [known] = await this.#known.find([path]);
    const [seen] = await storage.look([path]);
    if (seen === 'unknown') throw failedPrecondition(`Cannot compare ${JSON.stringify(path)}: it cannot be read`);
    if (seen === 'nothing' && !known?.entry)
      throw notFound(`Cannot compare ${JSON.stringify(path)}: there is nothing, and nothing was there`, {
        reason: 'node_missing',
      });
    const isWalked = typeof seen === 'object' && seen.isFolder;
    if (!progress.isDryRun) await this.#known.exclusively(() => this.#examine({ paths: [path], isTrusted: isConfirmed }));
    if (isWalked) return this.pass(path, options);
    progress.begin(known?.nodes ?? 1);
    const kind = seen === 'nothing' ? 'delete' : known?.entry ? 'update' : 'create';
    const nodes = seen === 'nothing' ? (known?.nodes ?? 1) : 1;
    if (kind === 'delete') progress.deleted = nodes;
    else progress.see(1, []);
    progress.note({ kind, path, isFolder: known?.entry?.isFolder ?? false, nodes });
    progress.phase = 'done';
    return progress;
  }

  /** Result: folders whose content has to be compared. */
  async #examine(hints: Hints): Promise<readonly string[]> {
    const { storage, watches } = this.#options;
    for (const { path, newPath } of hints.moves ?? []) await this.#followMove(path, newPath);
    const plan = await planHints(storage, this.#known, hints);
    if (!plan) {
      this.#block(folderMissing(storage.place));
      return [];
    }
    const changes = hints.isTrusted ? plan.changes : await this.#withoutDoubtfulDeletes(plan.changes);
    await this.#known.tell(changes, hints);
    for (const change of changes) {
      if (change.kind === 'delete') watches.remove(change.path);
      if (change.kind === 'move' && change.isFolder) watches.move(change.path, change.newPath);
    }
    return plan.unknownFolders;
  }

  async #followMove(path: string, newPath: string): Promise<void> {
    const [{ entry } = {}] = await this.#known.find([path]);
    if (!entry) return;
    await this.#known.tell([{ kind: 'move', path, newPath, isFolder: entry.isFolder }]);
    if (entry.isFolder) this.#options.watches.move(path, newPath);
  }

  async #withoutDoubtfulDeletes(changes: readonly PlannedChange[]): Promise<readonly PlannedChange[]> {
    const { subject, storage, limits } = this.#options;
    const deletes = changes.filter((change) => change.kind === 'delete');
    if (deletes.length === 0) return changes;
    const lost = deletes.flatMap(({ path }) => storage.mounts.lostAt(path));
    const nodes = deletes.reduce((sum, change) => sum + change.nodes, 0);
    const total = await this.#known.total();
    const isEmptied = total > limits.askAboveDeletes && (await storage.root.isEmpty().catch(() => true));
    const isDoubted = isEmptied || isTooMany(limits, nodes, total);
    if (!isDoubted && lost.length === 0) return changes;
    const examples = deletes.slice(0, examplesMax).map(({ path }) => path);
    this.#block(isDoubted ? deletesUnconfirmed(subject, nodes, total, examples) : mountAway(subject, lost));
    return changes.filter(({ kind }) => kind !== 'delete');
  }

  /** Takes the datasource's folder as it is now for the one to compare. */
  async #takeRoot(isConfirmed: boolean, isDryRun: boolean): Promise<void> {
    const { subject, storage, limits, watches } = this.#options;
    const top = storage.root.see();
    if (!isConfirmed) await assertMeant({ subject, storage, inode: top.inode, known: this.#known, limits });
    if (isDryRun) return;
    if (storage.root.take(top.inode)) watches.clear();
    await this.#known.exclusively(() => this.#known.tell([{ kind: 'put', entry: top }]));
  }

  #block(fault: Fault): void {
    if (this.#blocked?.message !== fault.message) this.#options.log.warn('sync is blocked', { reason: fault.message });
    this.#blocked = fault;
  }
}

const examplesMax = 20;
