import { randomInt } from 'node:crypto';
import { Change_Kind, type Entry, type Index } from '#gen/cellar/data/v1/index_pb.ts';
import type { Client } from '#kernel/calls/client.ts';
import { Fault, failedPrecondition } from '#kernel/fault.ts';
import type { Log } from '#kernel/log.ts';
import { createKeyedLock } from '#lib/keyed-lock.ts';
import { isEmptyFolder, look, type Seen, type WalkedEntry, walkDisk } from './disk.ts';
import { parentOf, type TreeEntry } from './entry.ts';
import { type Difference, mergeWalks } from './merge.ts';
import { type Looked, outermost, type Plan, type PlannedChange, planChanges } from './plan-changes.ts';

/** The folders being watched, as far as the keeper cares. */
export interface Watches {
  add(path: string, inode: number): void;
  remove(path: string): void;
  move(path: string, newPath: string): void;
  clear(): void;
}

export interface KeeperOptions {
  /** Absolute path of the datasource's folder. */
  readonly root: string;
  readonly index: Client<typeof Index>;
  readonly watches: Watches;
  readonly limits: { readonly askAboveDeletes: number; readonly askAbovePercent: number };
  readonly log: Log;
  readonly signal: AbortSignal;
}

export interface EtagHint {
  readonly etag: string;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
}

/** Paths to look at again, and what is known of them besides. */
export interface Hints {
  readonly paths: Iterable<string>;
  /** Etags of files by path, each with the state of the file it was made for. */
  readonly etags?: ReadonlyMap<string, EtagHint>;
  /** Moves that storage made itself. */
  readonly moves?: readonly { readonly path: string; readonly newPath: string }[];
  /** Position of storage's change stream that is covered when these are applied. */
  readonly position?: number;
  /** Folders among the paths came, went, or were replaced: what is in them is compared, even when they seem to be the same. */
  readonly areFoldersNew?: boolean;
  /** Storage itself says what is gone, so nobody has to confirm it. */
  readonly isTrusted?: boolean;
}

export interface PassProgress {
  seen: number;
  created: number;
  updated: number;
  moved: number;
  deleted: number;
  skipped: number;
  readonly skippedExamples: string[];
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

const batchSize = 1000;
/** Deletions are kept until the end of a pass, to find moves and to see whether they are too many; so many at most. */
const deletesMax = 100_000;
const examplesMax = 20;

type Init = Parameters<Client<typeof Index>['applyChanges']>[0];
type ChangeInit = NonNullable<NonNullable<Extract<Init, { changes?: unknown }>['changes']>[number]>;

/**
 * Tells the index what the disk says, and nothing else: whatever gave the hint, the disk is asked again under a lock before the index is
 * told, so that hints may be late, doubled, or wrong. Every verb may be cut off and repeated.
 */
export class Keeper {
  readonly #options: KeeperOptions;
  readonly #lock = createKeyedLock();
  /** Changes at every change of the index: what was looked at before has to be looked at again. */
  #epoch = randomInt(1 << 20);
  #rootInode = 0;
  #blocked: Blocked;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  get blocked(): Blocked {
    return this.#blocked;
  }

  newProgress(): PassProgress {
    return { seen: 0, created: 0, updated: 0, moved: 0, deleted: 0, skipped: 0, skippedExamples: [] };
  }

  /** Looks at paths and tells the index. Errors: those of the index. */
  async examine(hints: Hints): Promise<void> {
    const { watches } = this.#options;
    const unknownFolders = await this.#locked(async () => {
      for (const { path, newPath } of hints.moves ?? []) await this.#followMove(path, newPath);
      const plan = await this.#plan(hints);
      if (!plan) return [];
      const changes = hints.isTrusted ? plan.changes : await this.#withoutDoubtfulDeletes(plan.changes);
      await this.#tell(changes, hints);
      for (const change of changes) {
        if (change.kind === 'delete') watches.remove(change.path);
        if (change.kind === 'move' && change.isFolder) watches.move(change.path, change.newPath);
      }
      return plan.unknownFolders;
    });
    for (const folder of unknownFolders) await this.pass(folder);
  }

  /** Covers a position without any change. */
  async cover(position: number): Promise<void> {
    await this.#locked(() => this.#tell([], { paths: [], position }));
  }

  /**
   * Compares a folder and all below with the index and brings the index up to date.
   * Errors: `failed_precondition` with reason `folder_missing`, `folder_empty`, `folder_other` or `deletes_unconfirmed` when a person has
   * to decide; nothing was deleted then. Those of the index.
   */
  async pass(folder: string, options: PassOptions = {}): Promise<PassProgress> {
    const { isDryRun = false, progress = this.newProgress() } = options;
    try {
      await this.#assertThere(folder, options.isConfirmed ?? false);
      await this.#pass(folder, progress, options);
      if (folder === '' && !isDryRun) this.#blocked = undefined;
    } catch (error) {
      if (!isDryRun && isDecision(error)) this.#block(error.message);
      throw error;
    }
    return progress;
  }

  /** True when the datasource's folder is the one that was compared last. Never rejects. */
  isRootSame(): boolean {
    const seen = look(this.#options.root, '');
    return typeof seen === 'object' && seen.isFolder && (this.#rootInode === 0 || seen.inode === this.#rootInode);
  }

  /** True when the datasource's folder is there and holds something. */
  async isRootFilled(): Promise<boolean> {
    try {
      return !(await isEmptyFolder(this.#options.root));
    } catch {
      return false; // Missing or unreadable: asked again soon, and told in words by the next pass.
    }
  }

  /** A word that changes when the datasource's folder comes, goes, is emptied, filled, or replaced by another. Never rejects. */
  async rootState(): Promise<string> {
    const seen = look(this.#options.root, '');
    return `${typeof seen === 'object' ? seen.inode : seen} ${await this.isRootFilled()}`;
  }

  async #pass(folder: string, progress: PassProgress, options: PassOptions): Promise<void> {
    const { isDryRun = false, isConfirmed = false } = options;
    const signal = options.signal ? AbortSignal.any([options.signal, this.#options.signal]) : this.#options.signal;
    // What was known before; asked when something is gone only, since it is a sum over all folders.
    let total: number | undefined;
    const isTooMany = async (nodes: number): Promise<boolean> => {
      total ??= (await this.#totalNodes()) - progress.created;
      return this.#isTooMany(nodes, total);
    };
    let batch: Exclude<Difference, { kind: 'delete' }>[] = [];
    let gone: Extract<Difference, { kind: 'delete' }>[] = [];
    let goneNodes = 0;
    const movedFolders: string[] = [];
    const flush = async (): Promise<void> => {
      if (!isDryRun) gone = await this.#applyBatch(batch, gone, progress, movedFolders);
      batch = [];
    };
    const applyDeletes = async (): Promise<void> => {
      for (let at = 0; at < gone.length; at += batchSize) await this.#applyDeletes(gone.slice(at, at + batchSize));
      gone = [];
    };
    for await (const difference of this.#differences(folder, progress, signal)) {
      if (difference.kind === 'delete') {
        goneNodes += difference.nodes;
        if (gone.length < deletesMax) gone.push(difference);
        else if (!isDryRun && (isConfirmed || !(await isTooMany(goneNodes)))) {
          await applyDeletes();
          gone.push(difference);
        }
      } else {
        batch.push(difference);
        if (isDryRun && difference.kind === 'create') progress.created += 1;
        if (isDryRun && difference.kind === 'update' && !difference.isQuiet) progress.updated += 1;
      }
      if (batch.length >= batchSize) await flush();
    }
    await flush();
    // Moves are no deletions any more.
    const left = gone.length < deletesMax ? gone.reduce((sum, { nodes }) => sum + nodes, 0) : goneNodes;
    progress.deleted = left;
    if (isDryRun) return;
    if (left > 0 && !isConfirmed && (await isTooMany(left))) {
      progress.deleted = 0;
      throw failedPrecondition(
        `${left} of ${total} files and folders are gone from ${this.#options.root}; they are kept in the index until somebody confirms that`,
        { reason: 'deletes_unconfirmed', hint: 'Check the folder, then resync with --confirm-deletes.' },
      );
    }
    await applyDeletes();
    // What was taken along but is not in the folder any more was passed over as part of what seemed gone.
    for (const moved of outermost(movedFolders)) await this.#pass(moved, progress, options);
  }

  async *#differences(folder: string, progress: PassProgress, signal: AbortSignal): AsyncGenerator<Difference> {
    const { root, index, watches } = this.#options;
    const disk = walkDisk(root, folder, {
      onFolder: (path, inode) => watches.add(path, inode),
      onSkip: (path, reason) => {
        progress.skipped += 1;
        if (progress.skippedExamples.length < examplesMax) progress.skippedExamples.push(`${path}: ${reason}`);
      },
      epoch: () => this.#epoch,
      signal,
    });
    yield* mergeWalks({ disk, index: walkIndex(index, folder, signal), onSeen: (count) => (progress.seen += count) });
  }

  /** Result: the deletions that are left, those that turned out to be moves aside. */
  async #applyBatch(
    batch: readonly Exclude<Difference, { kind: 'delete' }>[],
    gone: Extract<Difference, { kind: 'delete' }>[],
    progress: PassProgress,
    movedFolders: string[],
  ): Promise<Extract<Difference, { kind: 'delete' }>[]> {
    if (batch.length === 0) return gone;
    return this.#locked(async () => {
      const found = batch.map((difference) => this.#fresh(difference.entry));
      const isNew = new Set(batch.filter(({ kind }) => kind === 'create').map(({ entry }) => entry.path));
      const looked = [
        ...found.map((entry, at): Looked => {
          const path = batch[at]?.entry.path ?? '';
          // An update is told as a new entry: the index itself sees what is different.
          return { path, seen: entry ?? 'unknown', known: isNew.has(path) ? undefined : noEntry(path), nodes: 1 };
        }),
        ...gone.map(({ entry, nodes }): Looked => ({ path: entry.path, seen: 'nothing', known: entry, nodes })),
      ];
      const { changes } = planChanges(looked);
      const told = changes.filter(({ kind }) => kind !== 'delete');
      const moved = new Set<string>();
      for (const change of told) {
        if (change.kind !== 'move') continue;
        moved.add(change.path);
        if (!change.isFolder) continue;
        movedFolders.push(change.newPath);
        this.#options.watches.move(change.path, change.newPath);
      }
      const answer = await this.#tell(told, { paths: [] });
      progress.created += answer.created;
      progress.moved += moved.size;
      progress.updated += answer.updated - moved.size;
      return gone.filter(({ entry }) => !moved.has(entry.path));
    });
  }

  async #applyDeletes(gone: readonly Extract<Difference, { kind: 'delete' }>[]): Promise<void> {
    await this.#locked(async () => {
      const { root, watches } = this.#options;
      // Only what is still gone; something may have been put there since the folder was read.
      const changes = gone
        .filter(({ entry }) => look(root, entry.path) === 'nothing')
        .map(({ entry, nodes }): PlannedChange => ({ kind: 'delete', path: entry.path, nodes }));
      if (!this.isRootSame()) throw this.#missing();
      await this.#tell(changes, { paths: [] });
      for (const change of changes) if (change.kind === 'delete') watches.remove(change.path);
    });
  }

  /** An entry as it is now, when the index has changed since it was looked at. */
  #fresh(entry: WalkedEntry): TreeEntry | undefined {
    if (entry.epoch === this.#epoch) return entry;
    const seen = look(this.#options.root, entry.path);
    return typeof seen === 'object' ? seen : undefined;
  }

  async #plan({ paths: hinted, etags, areFoldersNew }: Hints): Promise<Plan | undefined> {
    const { root } = this.#options;
    const seen = new Map<string, Looked['seen']>();
    for (const path of hinted) {
      // Parents too: they may be new as well, their time has changed, and when one is gone all below it is.
      for (let at = path; !seen.has(at); at = parentOf(at)) seen.set(at, look(root, at));
    }
    const top = seen.get('');
    if (top === undefined) return { changes: [], unknownFolders: [] };
    if (!this.isRootSame()) {
      this.#block(this.#missing().message);
      return undefined;
    }
    const paths = [...seen.keys()];
    const looked: Looked[] = [];
    for (let at = 0; at < paths.length; at += batchSize) {
      const piece = paths.slice(at, at + batchSize);
      const { found } = await this.#options.index.findEntries({ paths: piece });
      for (const [offset, path] of piece.entries()) {
        const { entry, nodes } = found[offset] ?? {};
        looked.push({
          path,
          seen: seen.get(path) ?? 'unknown',
          known: entry && fromMessage(path, entry),
          nodes: Number(nodes ?? 0n),
          isTold: etags?.has(path) ?? false,
        });
      }
    }
    // Another root than the one that was compared, and its content, is the matter of full passes.
    const { changes, unknownFolders } = planChanges(
      looked.filter(({ path, seen: now, known }) => path !== '' || isSameFolder(now, known)),
    );
    // A removed folder's inode is given to the next one, so the same inode does not mean the same folder.
    const named = areFoldersNew ? [...new Set(hinted)].filter((path) => isFolder(seen.get(path))) : [];
    return { changes, unknownFolders: outermost([...unknownFolders, ...named].filter((path) => path !== '')) };
  }

  async #followMove(path: string, newPath: string): Promise<void> {
    const { index, watches } = this.#options;
    const { found } = await index.findEntries({ paths: [path] });
    const entry = found[0]?.entry;
    if (!entry) return;
    await this.#tell([{ kind: 'move', path, newPath, isFolder: entry.isFolder }], { paths: [] });
    if (entry.isFolder) watches.move(path, newPath);
  }

  async #withoutDoubtfulDeletes(changes: readonly PlannedChange[]): Promise<readonly PlannedChange[]> {
    const nodes = changes.reduce((sum, change) => sum + (change.kind === 'delete' ? change.nodes : 0), 0);
    if (nodes === 0) return changes;
    const total = await this.#totalNodes();
    const isEmptied = total > this.#options.limits.askAboveDeletes && !(await this.isRootFilled());
    if (!isEmptied && !this.#isTooMany(nodes, total)) return changes;
    this.#block(
      `${nodes} of ${total} files and folders are gone from ${this.#options.root} at once; they are kept in the index until somebody confirms that`,
    );
    return changes.filter(({ kind }) => kind !== 'delete');
  }

  async #tell(changes: readonly PlannedChange[], { etags, position }: Hints): Promise<{ created: number; updated: number }> {
    if (changes.length === 0 && position === undefined) return { created: 0, updated: 0 };
    const sum = { created: 0, updated: 0 };
    for (let at = 0; at === 0 || at < changes.length; at += batchSize) {
      const piece = changes.slice(at, at + batchSize).map((change) => toMessage(change, etags));
      const isLast = at + batchSize >= changes.length;
      const { created, updated } = await this.#options.index.applyChanges({
        changes: piece,
        ...(isLast && position !== undefined ? { sourcePosition: BigInt(position) } : {}),
      });
      sum.created += Number(created);
      sum.updated += Number(updated);
    }
    if (changes.length > 0) this.#epoch += 1;
    return sum;
  }

  async #assertThere(folder: string, isConfirmed: boolean): Promise<void> {
    const { root, index, limits } = this.#options;
    const top = look(root, '');
    if (typeof top !== 'object' || !top.isFolder) throw this.#missing();
    if (folder !== '') {
      if (!this.isRootSame()) throw this.#missing();
      return;
    }
    const [{ found }, total] = await Promise.all([index.findEntries({ paths: [''] }), this.#totalNodes()]);
    const inode = Number(found[0]?.entry?.inode ?? 0n);
    const isOther = inode !== 0 && inode !== top.inode;
    if (total > 0 && !isConfirmed && (isOther || total > limits.askAboveDeletes) && !(await this.#isFilled())) {
      throw failedPrecondition(`${root} is empty, but ${total} files and folders are known in it; is its disk mounted?`, {
        reason: 'folder_empty',
        hint: 'Mount the disk, or resync with --confirm-deletes when the folder is meant to be empty.',
      });
    }
    // The disk may be missing, and something else may have been put at its place.
    if (total > 0 && !isConfirmed && isOther && !(await this.#isFamiliar())) {
      throw failedPrecondition(
        `${root} is another folder than before, and holds nothing of the ${total} files and folders known in it; is its disk mounted?`,
        {
          reason: 'folder_other',
          hint: 'Mount the disk, or resync with --confirm-deletes when this is the folder that is meant.',
        },
      );
    }
    if (this.#rootInode !== 0 && this.#rootInode !== top.inode) this.#options.watches.clear();
    this.#rootInode = top.inode;
    await this.#locked(() => this.#tell([{ kind: 'put', entry: top }], { paths: [] }));
  }

  /** Errors: `failed_precondition` when the folder cannot be read. */
  async #isFilled(): Promise<boolean> {
    try {
      return !(await isEmptyFolder(this.#options.root));
    } catch (error) {
      throw this.#missing(error);
    }
  }

  /** True when something that is known at the top of the tree is there. */
  async #isFamiliar(): Promise<boolean> {
    const { nodes } = await this.#options.index.listNodes({ path: '', pageSize: 1000 });
    return nodes.some(({ name }) => typeof look(this.#options.root, name) === 'object');
  }

  #missing(cause?: unknown): Fault {
    return failedPrecondition(`${this.#options.root} is not there or cannot be read; is its disk mounted?`, {
      reason: 'folder_missing',
      hint: 'Bring the folder back; everything known of it is kept meanwhile.',
      cause,
    });
  }

  #isTooMany(nodes: number, total: number): boolean {
    const { askAboveDeletes, askAbovePercent } = this.#options.limits;
    return nodes > askAboveDeletes && nodes * 100 > total * askAbovePercent;
  }

  async #totalNodes(): Promise<number> {
    const { files, folders } = await this.#options.index.getPosition({});
    return Number(files) + Number(folders);
  }

  #block(reason: string): void {
    if (this.#blocked !== reason) this.#options.log.warn('sync is blocked', { reason });
    this.#blocked = reason;
  }

  #locked<T>(task: () => Promise<T>): Promise<T> {
    return this.#lock.run('', task);
  }
}

async function* walkIndex(
  index: Client<typeof Index>,
  folder: string,
  signal: AbortSignal,
): AsyncGenerator<readonly TreeEntry[]> {
  try {
    for await (const { nodes } of index.walkNodes({ path: folder }, { signal }))
      yield nodes.flatMap(({ path, entry }) => (entry ? [fromMessage(path, entry)] : []));
  } catch (error) {
    // A folder the index does not know yet has nothing in it there.
    if (!(error instanceof Fault && error.reason === 'node_missing')) throw error;
  }
}

function fromMessage(path: string, { isFolder, sizeBytes, modifyTimeNs, inode }: Entry): TreeEntry {
  return { path, isFolder, sizeBytes: Number(sizeBytes), mtimeUs: Number(modifyTimeNs / 1000n), inode: Number(inode) };
}

function toMessage(change: PlannedChange, etags: Hints['etags']): ChangeInit {
  if (change.kind === 'delete') return { kind: Change_Kind.DELETE, path: change.path };
  if (change.kind === 'move') return { kind: Change_Kind.MOVE, path: change.path, newPath: change.newPath };
  const { path, isFolder, sizeBytes, mtimeUs, inode } = change.entry;
  return {
    kind: Change_Kind.PUT,
    path,
    entry: {
      isFolder,
      sizeBytes: BigInt(sizeBytes),
      modifyTimeNs: BigInt(mtimeUs) * 1000n,
      inode: BigInt(inode),
      etag: etagOf(change.entry, etags?.get(path)),
    },
  };
}

/** An etag counts for the state of the file it was made for. */
function etagOf({ sizeBytes, mtimeUs }: TreeEntry, hint: EtagHint | undefined): string {
  const sinceUs = hint ? mtimeUs - hint.mtimeMs * 1000 : -1;
  return hint && hint.sizeBytes === sizeBytes && sinceUs >= 0 && sinceUs <= 1000 ? hint.etag : '';
}

/** Stands for what the index has when only the index needs to know: it differs from everything. */
function noEntry(path: string): TreeEntry {
  return { path, isFolder: false, sizeBytes: -1, mtimeUs: -1, inode: -1 };
}

function isSameFolder(seen: Seen, known: TreeEntry | undefined): boolean {
  return typeof seen === 'object' && seen.inode === known?.inode;
}

function isFolder(seen: Seen | undefined): boolean {
  return typeof seen === 'object' && seen.isFolder;
}

function isDecision(error: unknown): error is Fault {
  return (
    error instanceof Fault && ['folder_missing', 'folder_empty', 'folder_other', 'deletes_unconfirmed'].includes(error.reason)
  );
}
