import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TreeEntry } from './entry.ts';
import { type Looked, outermost, planChanges } from './plan-changes.ts';

const file = (path: string, inode: number, more: Partial<TreeEntry> = {}): TreeEntry => ({
  ...{ path, isFolder: false, sizeBytes: 1, mtimeUs: 1, inode },
  ...more,
});
const folder = (path: string, inode: number, mtimeUs = 1): TreeEntry => ({ path, isFolder: true, sizeBytes: 0, mtimeUs, inode });
const gone = (known: TreeEntry, nodes = 1): Looked => ({ path: known.path, seen: 'nothing', known, nodes });
const there = (seen: TreeEntry, known?: TreeEntry): Looked => ({ path: seen.path, seen, known, nodes: known ? 1 : 0 });

const cases: readonly { name: string; looked: readonly Looked[]; changes: readonly string[]; unknown?: readonly string[] }[] = [
  { name: 'the same on both sides', looked: [there(file('a', 1), file('a', 1))], changes: [] },
  { name: 'new', looked: [there(file('a', 1))], changes: ['put a'] },
  { name: 'other size', looked: [there(file('a', 1, { sizeBytes: 2 }), file('a', 1))], changes: ['put a'] },
  { name: 'replaced by another of the same size and time', looked: [there(file('a', 2), file('a', 1))], changes: ['put a'] },
  { name: 'gone', looked: [gone(file('a', 1))], changes: ['delete a 1'] },
  { name: 'gone and never known', looked: [{ path: 'a', seen: 'nothing', known: undefined, nodes: 0 }], changes: [] },
  { name: 'cannot be told', looked: [{ path: 'a', seen: 'unknown', known: file('a', 1), nodes: 1 }], changes: [] },
  { name: 'a new folder', looked: [there(folder('a', 1))], changes: ['put a'], unknown: ['a'] },
  { name: 'a folder whose time moved on', looked: [there(folder('a', 1, 2), folder('a', 1, 1))], changes: ['put a'] },
  { name: 'a replaced folder', looked: [there(folder('a', 2), folder('a', 1))], changes: ['put a'], unknown: ['a'] },
  { name: 'a folder gone with what is in it', looked: [gone(folder('a', 1), 7), gone(file('a/x', 2))], changes: ['delete a 7'] },
  { name: 'a renamed file', looked: [gone(file('a', 1)), there(file('b', 1))], changes: ['move a > b', 'put b'] },
  {
    name: 'a new file with the inode of a removed one',
    looked: [gone(file('a', 1)), there(file('b', 1, { mtimeUs: 9 }))],
    changes: ['put b', 'delete a 1'],
  },
  {
    name: 'a renamed folder is compared',
    looked: [there(folder('b', 1)), gone(folder('a', 1), 5)],
    changes: ['move a > b', 'put b'],
    unknown: ['b'],
  },
  {
    name: 'a new folder with the inode of a removed one',
    looked: [gone(folder('a', 1), 3), there(folder('b', 1, 9))],
    changes: ['put b', 'delete a 3'],
    unknown: ['b'],
  },
  {
    name: 'several gone without inodes',
    looked: [gone(file('a', 0)), gone(file('b', 0)), there(file('c', 0))],
    changes: ['put c', 'delete a 1', 'delete b 1'],
  },
  { name: 'one that is told all the same', looked: [{ ...there(file('a', 1), file('a', 1)), isTold: true }], changes: ['put a'] },
];

for (const { name, looked, changes, unknown = [] } of cases) {
  test(`plan: ${name}`, () => {
    const plan = planChanges(looked);
    const lines = plan.changes.map((change) => {
      if (change.kind === 'put') return `put ${change.entry.path}`;
      return change.kind === 'move' ? `move ${change.path} > ${change.newPath}` : `delete ${change.path} ${change.nodes}`;
    });
    assert.deepEqual(lines, changes);
    assert.deepEqual(plan.unknownFolders, unknown);
  });
}

test('outermost keeps what lies in none of the others', () => {
  assert.deepEqual(outermost(['a/b', 'a', 'ab', 'c/d/e', 'c/d', 'a/b/c', 'x/y']), ['a', 'ab', 'c/d', 'x/y']);
  assert.deepEqual(outermost(['a', 'a']), ['a']);
});
