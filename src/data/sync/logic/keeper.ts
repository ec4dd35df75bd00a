import type { Index } from '#gen/cellar/data/v1/index_pb.ts';
import type { Client } from '#kernel/calls/client.ts';
import type { Log } from '#kernel/log.ts';
import { assertMeant } from './assert-meant.ts';
import { deletesUnconfirmed, folderMissing, isDecision } from './decisions.ts';
import { type DeleteLimits, isTooMany } from './delete-limits.ts';
import { FolderPass } from './folder-pass.ts';
import type { Hints } from './hints.ts';
import { KnownTree } from './known-tree.ts';
import { newProgress, type PassProgress } from './pass-progress.ts';
import type { PlannedChange } from './plan-changes.ts';
import { planHints } from './plan-hints.ts';
import { RootFolder } from './root-folder.ts';
import type { Watches } from './watches.ts';

export interface KeeperOptions {
  /** Absolute path of the datasource's folder. */
  readonly root: string;
  readonly index: Client<typeof Index>;
  readonly watches: Watches;
  readonly limits: DeleteLimits;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export interface PassOptions {
  readonly isDryRun?: boolean;
  /** Deletes however much it is. */
  readonly isConfirmed?: boolean;
  readonly signal?: AbortSignal;
  readonly progress?: PassProgress;
}

/** Why nothing is deleted until a person decides; `undefined`: all is well. */
export type Blocked = string | undefined;

/**
 * Tells the index what the disk says, and nothing else: whatever gave the hint, the disk is asked again under a lock before the index is
 * told, so that hints may be late, doubled, or wrong. Every verb may be cut off and repeated.
 */
export class Keeper {
  readonly #options: KeeperOptions;
  readonly #known: KnownTree;
  readonly #root: RootFolder;
  #blocked: Blocked;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#known = new KnownTree(options.index);
    this.#root = new RootFolder(options.root);
  }

  get blocked(): Blocked {
    return this.#blocked;
  }

  /** The datasource's folder; to be asked, not to be changed. */
  get root(): Pick<RootFolder, 'isSame' | 'state'> {
    return this.#root;
  }

  /** Looks at paths and tells the index. Errors: those of the index. */
  async examine(hints: Hints): Promise<void> {
    const unknownFolders = await this.#known.exclusively(() => this.#examine(hints));
    for (const folder of unknownFolders) await this.pass(folder);
  }

  /** Covers a position without any change. */
  async cover(position: number): Promise<void> {
    await this.#known.exclusively(() => this.#known.tell([], { position }));
  }

  /**
   * Compares a folder and all below with the index and brings the index up to date.
   * Errors: `failed_precondition` with reason `folder_missing`, `folder_empty`, `folder_other` or `deletes_unconfirmed` when a person has
   * to decide; nothing was deleted then. Those of the index.
   */
  async pass(folder: string, options: PassOptions = {}): Promise<PassProgress> {
    const { watches, limits, signal } = this.#options;
    const { isDryRun = false, isConfirmed = false, progress = newProgress() } = options;
    try {
      if (folder === '') await this.#takeRoot(isConfirmed);
      else this.#root.assertSame();
      const pass = new FolderPass({
        root: this.#root,
        known: this.#known,
        watches,
        limits,
        isDryRun,
        isConfirmed,
        progress,
        signal: options.signal ? AbortSignal.any([options.signal, signal]) : signal,
      });
      await pass.run(folder);
      if (folder === '' && !isDryRun) this.#blocked = undefined;
    } catch (error) {
      if (!isDryRun && isDecision(error)) this.#block(error.message);
      throw error;
    }
    return progress;
  }

  /** Result: folders whose content has to be compared. */
  async #examine(hints: Hints): Promise<readonly string[]> {
    const { watches } = this.#options;
    for (const { path, newPath } of hints.moves ?? []) await this.#followMove(path, newPath);
    const plan = await planHints(this.#root, this.#known, hints);
    if (!plan) {
      this.#block(folderMissing(this.#root.path).message);
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
    const { limits } = this.#options;
    const nodes = changes.reduce((sum, change) => sum + (change.kind === 'delete' ? change.nodes : 0), 0);
    if (nodes === 0) return changes;
    const total = await this.#known.total();
    const isEmptied = total > limits.askAboveDeletes && !(await this.#root.isFilled());
    if (!isEmptied && !isTooMany(limits, nodes, total)) return changes;
    this.#block(deletesUnconfirmed(this.#root.path, nodes, total).message);
    return changes.filter(({ kind }) => kind !== 'delete');
  }

  /** Takes the datasource's folder as it is now for the one to compare. */
  async #takeRoot(isConfirmed: boolean): Promise<void> {
    const top = this.#root.see();
    if (!isConfirmed) await assertMeant({ root: this.#root, inode: top.inode, known: this.#known, limits: this.#options.limits });
    if (this.#root.take(top.inode)) this.#options.watches.clear();
    await this.#known.exclusively(() => this.#known.tell([{ kind: 'put', entry: top }]));
  }

  #block(reason: string): void {
    if (this.#blocked !== reason) this.#options.log.warn('sync is blocked', { reason });
    this.#blocked = reason;
  }
}
