import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isWithin } from '#lib/tree-path.ts';
import { compareEntries, isSameEntry, type TreeEntry } from './entry.ts';
import { mergeWalks } from './merge.ts';
import type { Difference, WalkedEntry } from './storage.ts';

const entry = (path: string, isFolder: boolean, inode: number): TreeEntry => ({
  ...{ path, isFolder, inode, sizeBytes: isFolder ? 0 : inode, mtimeUs: inode },
});

/** A tree as a walk gives it: parents are folders, siblings have one kind each, all in tree order. */
const tree = fc
  .uniqueArray(
    fc.record({
      names: fc.array(fc.constantFrom('a', 'a-', 'b', '\u{1f600}', '\uffee'), { minLength: 1, maxLength: 3 }),
      isFolder: fc.boolean(),
      inode: fc.integer({ min: 1, max: 3 }),
    }),
    { selector: ({ names }) => names.join('/'), maxLength: 20 },
  )
  .map((nodes) => {
    const byPath = new Map<string, TreeEntry>();
    for (const { names, isFolder, inode } of nodes) {
      const path = names.join('/');
      byPath.set(path, entry(path, isFolder || byPath.get(path)?.isFolder === true, inode));
      for (let depth = 1; depth < names.length; depth++) {
        const parent = names.slice(0, depth).join('/');
        if (!byPath.get(parent)?.isFolder) byPath.set(parent, entry(parent, true, inode));
      }
    }
    return [...byPath.values()].sort(compareEntries);
  });

async function* pieces<T>(all: readonly T[], size: number): AsyncGenerator<readonly T[]> {
  for (let at = 0; at < all.length; at += size) yield all.slice(at, at + size);
}

const walked = (entries: readonly TreeEntry[]): WalkedEntry[] => entries.map((one) => ({ ...one, epoch: 0 }));

const merge = (disk: readonly WalkedEntry[], index: readonly TreeEntry[], size = 3): Promise<Difference[]> =>
  Array.fromAsync(mergeWalks({ storage: pieces(disk, size), index: pieces(index, 2), onSeen: () => undefined }));

test('the differences are those of two sets of entries', async () => {
  await fc.assert(
    fc.asyncProperty(tree, tree, fc.integer({ min: 1, max: 5 }), async (disk, index, size) => {
      const key = (one: TreeEntry): string => `${one.path}${one.isFolder ? '/' : ''}`;
      const [onDisk, inIndex] = [new Map(disk.map((one) => [key(one), one])), new Map(index.map((one) => [key(one), one]))];
      const found = await merge(walked(disk), index, size);
      const paths = (kind: Difference['kind']): string[] => found.filter((one) => one.kind === kind).map((one) => key(one.entry));
      assert.deepEqual(
        paths('create'),
        [...onDisk.keys()].filter((one) => !inIndex.has(one)),
      );
      const changed = disk.filter((one) => {
        const known = inIndex.get(key(one));
        return known && !(isSameEntry(known, one) && known.mtimeUs === one.mtimeUs);
      });
      assert.deepEqual(paths('update'), changed.map(key));
      const gone = index.filter((one) => !onDisk.has(key(one)));
      const outer = gone.filter(
        (one) => !gone.some((other) => other !== one && other.isFolder && isWithin(one.path, other.path)),
      );
      assert.deepEqual(paths('delete'), outer.map(key));
      const nodes = found.reduce((sum, one) => sum + (one.kind === 'delete' ? one.nodes : 0), 0);
      assert.equal(nodes, gone.length);
    }),
    { numRuns: 500 },
  );
});
