import { randomInt } from 'node:crypto';
import type { Index } from '#gen/cellar/data/v1/index_pb.ts';
import type { Client } from '#kernel/calls/client.ts';
import { Fault } from '#kernel/fault.ts';
import { createKeyedLock } from '#lib/keyed-lock.ts';
import type { TreeEntry } from './entry.ts';
import { type EtagHint, toChange, toTreeEntry } from './index-messages.ts';
import type { PlannedChange } from './plan-changes.ts';

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
}

/** How many paths or changes one call to the index carries. */
export const batchSize = 1000;
const namesMax = 1000;

/** The tree as the index has it: asked, and told what is different. Errors: those of the index. */
export class KnownTree {
  readonly #index: Client<typeof Index>;
  readonly #lock = createKeyedLock();
  #epoch = randomInt(1 << 20);

  constructor(index: Client<typeof Index>) {
    this.#index = index;
  }

  /** Changes at every change of the index: what was looked at before has to be looked at again. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Runs a task that looks at the disk and tells the index, when no other does. */
  exclusively<T>(task: () => Promise<T>): Promise<T> {
    return this.#lock.run('', task);
  }

  /** In the order of the paths. */
  async find(paths: readonly string[]): Promise<Known[]> {
    const known: Known[] = [];
    for (let at = 0; at < paths.length; at += batchSize) {
      const piece = paths.slice(at, at + batchSize);
      const { found } = await this.#index.findEntries({ paths: piece });
      for (const [offset, path] of piece.entries()) {
        const { entry, nodes } = found[offset] ?? {};
        known.push({ path, entry: entry && toTreeEntry(path, entry), nodes: Number(nodes ?? 0n) });
      }
    }
    return known;
  }

  /** Everything below a folder in tree order, in pieces. */
  async *walk(folder: string, signal: AbortSignal): AsyncGenerator<readonly TreeEntry[]> {
    try {
      for await (const { nodes } of this.#index.walkNodes({ path: folder }, { signal }))
        yield nodes.flatMap(({ path, entry }) => (entry ? [toTreeEntry(path, entry)] : []));
    } catch (error) {
      // A folder the index does not know yet has nothing in it there.
      if (!(error instanceof Fault && error.reason === 'node_missing')) throw error;
    }
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
  async tell(
    changes: readonly PlannedChange[],
    { etags, position }: Telling = {},
  ): Promise<{ created: number; updated: number }> {
    const sum = { created: 0, updated: 0 };
    if (changes.length === 0 && position === undefined) return sum;
    for (let at = 0; at === 0 || at < changes.length; at += batchSize) {
      const piece = changes.slice(at, at + batchSize).map((change) => toChange(change, etags));
      const isLast = at + batchSize >= changes.length;
      const { created, updated } = await this.#index.applyChanges({
        changes: piece,
        ...(isLast && position !== undefined ? { sourcePosition: BigInt(position) } : {}),
      });
      sum.created += Number(created);
      sum.updated += Number(updated);
    }
    if (changes.length > 0) this.#epoch += 1;
    return sum;
  }
}
