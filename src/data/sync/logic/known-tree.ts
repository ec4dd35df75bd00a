import { randomInt } from 'node:crypto';
import type { Index } from '#gen/cellar/data/v1/index_pb.ts';
import type { Client } from '#kernel/calls/client.ts';
import { Fault } from '#kernel/fault.ts';
import { createKeyedLock } from '#lib/keyed-lock.ts';
import type { TreeEntry } from './entry.ts';
import { type EtagHint, toChange, toPackedRun, toTreeEntry } from './index-messages.ts';
import type { PackedRun } from './packed-files.ts';
import type { PlannedChange } from './plan-changes.ts';
import type { KnownWalks } from './storage.ts';

/** What the index has at one path. */
export interface Known {
  readonly path: string;
  readonly entry: TreeEntry | undefined;
  /** Files and folders there. */
  readonly nodes: number;
}

/** What is told besides the changes themselves. */
export interface Telling {
  readonly etags?: ReadonlyMap<string, EtagHint> | undefined;
  /** Position of storage's change stream that is covered with these changes. */
  readonly position?: number | undefined;
  /** Who tells: its own changes do not make its looks old. */
  readonly by?: Teller;
  /** New files are many: their folders are told instead of them. */
  readonly isQuiet?: boolean;
}

/** One that looks at storage first and tells the index later. */
export class Teller {
  /** How often it has told. */
  told = 0;
}

/** How many paths one question to the index carries, and how many changes one telling. */
const askMax = 1000;
const tellMax = 1000;
const namesMax = 1000;

/** The tree as the index has it: asked, and told what is different. Errors: those of the index. */
export class KnownTree implements KnownWalks {
  readonly #index: Client<typeof Index>;
  readonly #lock = createKeyedLock();
  #epoch = randomInt(1 << 20);

  constructor(index: Client<typeof Index>) {
    this.#index = index;
  }

  /** Changes at every change of the index that others make: what was looked at before has to be looked at again. */
  epochFor(teller: Teller): number {
    return this.#epoch - teller.told;
  }

  /** Runs a task that looks at storage and tells the index, when no other does. */
  exclusively<T>(task: () => Promise<T>): Promise<T> {
    return this.#lock.run('', task);
  }

  /** In the order of the paths. */
  async find(paths: readonly string[]): Promise<Known[]> {
    const known: Known[] = [];
    for (let at = 0; at < paths.length; at += askMax) {
      const piece = paths.slice(at, at + askMax);
      const { found } = await this.#index.findEntries({ paths: piece });
      for (const [offset, path] of piece.entries()) {
        const { entry, nodes } = found[offset] ?? {};
        known.push({ path, entry: entry && toTreeEntry(path, entry), nodes: Number(nodes ?? 0n) });
      }
    }
    return known;
  }

  async hasAny(paths: readonly string[]): Promise<boolean> {
    return (await this.find(paths)).some(({ entry }) => entry);
  }

  async *folders(folder: string, signal: AbortSignal): AsyncGenerator<readonly PackedRun[]> {
    yield* unlessMissing(this.#index.walkFolders({ path: folder }, { signal }), ({ runs }) => runs.map(toPackedRun));
  }

  async *entries(folder: string, signal: AbortSignal): AsyncGenerator<readonly TreeEntry[]> {
    yield* unlessMissing(this.#index.walkNodes({ path: folder }, { signal }), ({ nodes }) =>
      nodes.flatMap(({ path, entry }) => (entry ? [toTreeEntry(path, entry)] : [])),
    );
  }

  /** How many files and folders there are. */
  async total(): Promise<number> {
    const { files, folders } = await this.#index.getPosition({});
    return Number(files) + Number(folders);
  }

  /** Names at the top of the tree, the first of them. */
  async topNames(): Promise<string[]> {
    const { nodes } = await this.#index.listNodes({ path: '', pageSize: namesMax });
    return nodes.map(({ name }) => name);
  }

  /** Result: how many nodes came and changed by it. */
  async tell(changes: readonly PlannedChange[], telling: Telling = {}): Promise<{ created: number; updated: number }> {
    const { etags, position, by, isQuiet = false } = telling;
    const sum = { created: 0, updated: 0 };
    if (changes.length === 0 && position === undefined) return sum;
    for (let at = 0; at === 0 || at < changes.length; at += tellMax) {
      const piece = changes.slice(at, at + tellMax).map((change) => toChange(change, etags));
      const isLast = at + tellMax >= changes.length;
      const { created, updated } = await this.#index.applyChanges({
        changes: piece,
        quiet: isQuiet,
        ...(isLast && position !== undefined ? { sourcePosition: BigInt(position) } : {}),
      });
      sum.created += Number(created);
      sum.updated += Number(updated);
      if (piece.length === 0) continue;
      this.#epoch += 1;
      if (by) by.told += 1;
    }
    return sum;
  }
}

/** A folder the index does not know yet has nothing in it there. */
async function* unlessMissing<M, T>(messages: AsyncIterable<M>, read: (message: M) => T): AsyncGenerator<T> {
  try {
    for await (const message of messages) yield read(message);
  } catch (error) {
    if (!(error instanceof Fault && (error.reason === 'node_missing' || error.reason === 'not_a_folder'))) throw error;
  }
}
