import { isWithin } from '#lib/tree-path.ts';
import { compareEntries, isSameEntry, type TreeEntry } from './entry.ts';
import type { Difference, WalkedEntry } from './storage.ts';

export interface MergeOptions {
  readonly storage: AsyncIterable<readonly WalkedEntry[]>;
  readonly index: AsyncIterable<readonly TreeEntry[]>;
  /** Called as entries of the storage go by. */
  readonly onSeen: (count: number) => void;
}

/** Compares two walks of one folder, both in tree order, in one go and without keeping either. */
export async function* mergeWalks({ storage, index, onSeen }: MergeOptions): AsyncGenerator<Difference> {
  const inStorage = new Cursor(storage);
  const inIndex = new Cursor(index);
  try {
    let found = await inStorage.next();
    let known = await inIndex.next();
    while (found || known) {
      const order = !found ? 1 : !known ? -1 : compareEntries(found, known);
      if (found && order < 0) {
        yield { kind: 'create', entry: found };
        onSeen(1);
        found = await inStorage.next();
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
        if (!isSame || found.mtimeUs !== known.mtimeUs) yield { kind: 'update', entry: found, isQuiet: isSame };
        onSeen(1);
        known = await inIndex.next();
        found = await inStorage.next();
      }
    }
  } finally {
    await Promise.all([inStorage.close(), inIndex.close()]);
  }
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
