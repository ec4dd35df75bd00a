import { isWithin } from '#lib/tree-path.ts';

import { compareEntries, isSameEntry, type TreeEntry } from './entry.ts';
import type { Difference, WalkedEntry } from './storage.ts';

export interface MergeOptions {
  readonly disk: AsyncIterable<readonly WalkedEntry[]>;
  readonly index: AsyncIterable<readonly TreeEntry[]>;
  /** Called as entries of the disk go by. */
  readonly onSeen: (count: number) => void;
}

/** Compares two walks of one folder, both in tree order, in one go and without keeping either. */
export async function* mergeWalks({ disk, index, onSeen }: MergeOptions): AsyncGenerator<Difference> {
  const onDisk = new Cursor(disk);
  const inIndex = new Cursor(index);
  try {
    let found = await onDisk.next();
    let known = await inIndex.next();
    while (found || known) {
      const order = !found ? 1 : !known ? -1 : compareEntries(found, known);
      if (found && order < 0) {
        // Of an unread folder we know that it is there, of other unread entries nothing.
        if (!found.isUnread || found.inode !== 0) yield { kind: 'create', entry: found };
        onSeen(1);
        if (found.isUnread) known = await skipWithin(inIndex, known, found.path);
        found = await onDisk.next();
      } else if (known && order > 0) {
        const gone: TreeEntry = known;
        let nodes = 1;
        known = await inIndex.next();
        while (gone.isFolder && known && isWithin(known.path, gone.path)) {
          nodes += 1;
          known = await inIndex.next();
        }
        yield { kind: 'delete', entry: gone, nodes };
      } else if (found && known) {
        const isSame = isSameEntry(found, known);
        if (!found.isUnread && !(isSame && found.mtimeUs === known.mtimeUs))
          yield { kind: 'update', entry: found, isQuiet: isSame };
        onSeen(1);
        known = found.isUnread ? await skipWithin(inIndex, known, found.path) : await inIndex.next();
        found = await onDisk.next();
      }
    }
  } finally {
    await Promise.all([onDisk.close(), inIndex.close()]);
  }
}

async function skipWithin(
  cursor: Cursor<TreeEntry>,
  from: TreeEntry | undefined,
  folder: string,
): Promise<TreeEntry | undefined> {
  let known = from;
  while (known && isWithin(known.path, folder)) known = await cursor.next();
  return known;
}

/** One entry at a time from pieces of many. */
class Cursor<T> {
  readonly #pieces: AsyncIterator<readonly T[]>;
  #piece: readonly T[] = [];
  #at = 0;

  constructor(pieces: AsyncIterable<readonly T[]>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  next(): T | undefined | Promise<T | undefined> {
    return this.#at < this.#piece.length ? this.#piece[this.#at++] : this.#load();
  }

  async #load(): Promise<T | undefined> {
    const next = await this.#pieces.next();
    if (next.done) return undefined;
    this.#piece = next.value;
    this.#at = 0;
    return this.next();
  }

  async close(): Promise<void> {
    await this.#pieces.return?.();
  }
}
