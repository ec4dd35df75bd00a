import { setImmediate } from 'node:timers/promises';
import { isWithin } from '#lib/tree-path.ts';
import { compareUtf8 } from '#lib/utf8-order.ts';
import type { DiskFolder, FileSlice, ListedFolder } from './disk-folder.ts';
import type { WalkedFolder } from './disk-walk.ts';
import { lastName, type PackedFile, type PackedRun, unpackFiles } from './packed-files.ts';
import type { CompareOptions, Difference, WalkedEntry } from './storage.ts';

/** A walk over the folders of the disk, in tree order. */
export interface FolderWalk {
  first(path: string): Promise<WalkedFolder | undefined>;
  next(options?: { readonly leave?: boolean }): Promise<WalkedFolder | undefined>;
}

type Options = Pick<CompareOptions, 'areNewFoldersWhole' | 'epoch' | 'onSeen' | 'signal'> & {
  readonly disk: FolderWalk;
  readonly index: AsyncIterable<readonly PackedRun[]>;
  readonly folder: string;
};

/** Names looked at in one go. */
const sliceMax = 1000;
/** How long others may have to wait for their turn. */
const turnMs = 4;

/**
 * Compares a folder and all below with the index, folder by folder in tree order, in one go and without keeping either. Both sides have the
 * files of a folder as one text, so where nothing has changed, that is all there is to compare.
 */
export async function* compareFolders(options: Options): AsyncGenerator<readonly Difference[]> {
  const { disk, index, folder } = options;
  const runs = new Runs(index);
  const turns = createTurns(options.signal);
  try {
    await runs.next();
    let leave = false;
    for (let found = await disk.first(folder); ; found = await disk.next({ leave })) {
      leave = false;
      yield* goneBefore(runs, found?.listed.path);
      if (!found) return;
      const { listed } = found;
      const own = ownDifference(listed, runs.current, options, found.isUnread);
      if (own) yield [own];
      if (listed.path !== '') options.onSeen(1, []);
      if (found.isUnread) await runs.skipWithin(listed.path);
      else if (own && 'isWhole' in own) leave = true;
      else yield* compareFiles(found, runs, options, turns);
    }
  } finally {
    await runs.close();
  }
}

/** Folders that the index has before a path in tree order; all that are left when there is no path. */
async function* goneBefore(runs: Runs, path: string | undefined): AsyncGenerator<readonly Difference[]> {
  for (let known = runs.current; known; known = runs.current) {
    if (path !== undefined && compareUtf8(treeKey(known.path), treeKey(path)) >= 0) return;
    const entry = {
      path: known.path,
      isFolder: true,
      sizeBytes: 0,
      mtimeUs: known.folder?.mtimeUs ?? 0,
      inode: known.folder?.inode ?? 0,
    };
    yield [{ kind: 'delete', entry, nodes: await runs.skipWithin(known.path) }];
  }
}

function ownDifference(
  listed: ListedFolder,
  known: PackedRun | undefined,
  options: Options,
  isUnread = false,
): Difference | undefined {
  const { path, mtimeUs, inode } = listed;
  // The top is told by whoever asked for the comparison.
  const entry: WalkedEntry = {
    path,
    isFolder: true,
    sizeBytes: 0,
    mtimeUs,
    inode,
    epoch: options.epoch(),
    ...(isUnread ? { isUnread } : {}),
  };
  if (known?.path !== path) {
    // Of an unread folder we know that it is there, of other unread entries nothing.
    if (listed.isUnseen || path === '') return undefined;
    return {
      kind: 'create',
      entry,
      ...(options.areNewFoldersWhole && !isUnread && path !== options.folder ? { isWhole: true } : {}),
    };
  }
  if (isUnread || !known.folder || (known.folder.inode === inode && known.folder.mtimeUs === mtimeUs)) return undefined;
  return { kind: 'update', entry, isQuiet: known.folder.inode === inode };
}

async function* compareFiles(
  folder: DiskFolder,
  runs: Runs,
  options: Options,
  turns: Turns,
): AsyncGenerator<readonly Difference[]> {
  const { path } = folder.listed;
  while (runs.current?.path === path) {
    const run = runs.current;
    const upTo = lastName(run.files);
    await runs.next();
    if (upTo === undefined) continue;
    const slice = folder.next(upTo, Math.max(run.count * 2, sliceMax));
    options.onSeen(slice.count, slice.escaped);
    if (slice.files !== run.files)
      yield* mergeFiles(path, moreSlices(folder, slice, upTo, options, turns), unpackFiles(run.files), options);
    await turns.next();
  }
  while (!folder.isRead) {
    const slice = folder.next(undefined, sliceMax);
    options.onSeen(slice.count, slice.escaped);
    const epoch = options.epoch();
    const created = unpackFiles(slice.files).map((file): Difference => ({ kind: 'create', entry: fileEntry(path, file, epoch) }));
    if (created.length > 0) yield created;
    await turns.next();
  }
}

/** The slice at hand and those up to the same name, when new files make more than one. */
async function* moreSlices(
  folder: DiskFolder,
  first: FileSlice,
  upTo: string,
  options: Options,
  turns: Turns,
): AsyncGenerator<FileSlice> {
  yield first;
  while (!folder.isReadTo(upTo)) {
    const slice = folder.next(upTo, sliceMax);
    options.onSeen(slice.count, slice.escaped);
    yield slice;
    await turns.next();
  }
}

/** Files of one folder between two names, on the disk and in the index, name by name. */
async function* mergeFiles(
  path: string,
  slices: AsyncIterable<FileSlice>,
  known: readonly PackedFile[],
  options: Options,
): AsyncGenerator<readonly Difference[]> {
  const unread = new Set<string>();
  let at = 0;
  const goneUpTo = (name?: string): Difference[] => {
    const gone: Difference[] = [];
    for (let file = known[at]; file && (name === undefined || compareUtf8(file.name, name) < 0); file = known[++at])
      if (!unread.has(file.name)) gone.push({ kind: 'delete', entry: fileEntry(path, file, 0), nodes: 1 });
    return gone;
  };
  for await (const slice of slices) {
    for (const name of slice.unread) unread.add(name);
    const epoch = options.epoch();
    const differences: Difference[] = [];
    for (const file of unpackFiles(slice.files)) {
      differences.push(...goneUpTo(file.name));
      const one = known[at]?.name === file.name ? known[at++] : undefined;
      if (!one) differences.push({ kind: 'create', entry: fileEntry(path, file, epoch) });
      else if (!isSameFile(one, file)) differences.push({ kind: 'update', entry: fileEntry(path, file, epoch), isQuiet: false });
    }
    if (differences.length > 0) yield differences;
  }
  const gone = goneUpTo();
  if (gone.length > 0) yield gone;
}

function isSameFile(a: PackedFile, b: PackedFile): boolean {
  return a.sizeBytes === b.sizeBytes && a.mtimeUs === b.mtimeUs && a.inode === b.inode;
}

function fileEntry(folder: string, { name, sizeBytes, mtimeUs, inode }: PackedFile, epoch: number): WalkedEntry {
  return { path: folder === '' ? name : `${folder}/${name}`, isFolder: false, sizeBytes, mtimeUs, inode, epoch };
}

function treeKey(path: string): string {
  return path === '' ? '' : `${path}/`;
}

/** The index's side, one run at a time. */
class Runs {
  readonly #pieces: AsyncIterator<readonly PackedRun[]>;
  #piece: readonly PackedRun[] = [];
  #at = 0;

  constructor(pieces: AsyncIterable<readonly PackedRun[]>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  get current(): PackedRun | undefined {
    return this.#piece[this.#at];
  }

  async next(): Promise<void> {
    this.#at += 1;
    while (this.#at >= this.#piece.length) {
      const next = await this.#pieces.next();
      [this.#piece, this.#at] = [next.done ? [] : next.value, 0];
      if (next.done) return;
    }
  }

  /** Result: how many files and folders were passed over. */
  async skipWithin(folder: string): Promise<number> {
    let nodes = 0;
    for (let run = this.current; run && isWithin(run.path, folder); run = this.current) {
      nodes += run.count + (run.folder ? 1 : 0);
      await this.next();
    }
    return nodes;
  }

  async close(): Promise<void> {
    await this.#pieces.return?.();
  }
}

interface Turns {
  /** Lets others have their turn when it is time. Errors: the signal's reason. */
  next(): Promise<void>;
}

function createTurns(signal: AbortSignal): Turns {
  let start = performance.now();
  return {
    async next() {
      if (performance.now() - start < turnMs) return;
      await setImmediate();
      signal.throwIfAborted();
      start = performance.now();
    },
  };
}
