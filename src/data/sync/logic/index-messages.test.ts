import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { Change_Kind, EntrySchema } from '#gen/cellar/data/v1/index_pb.ts';
import type { TreeEntry } from './entry.ts';
import { toChange, toTreeEntry } from './index-messages.ts';

const entry: TreeEntry = { path: 'a/b', isFolder: false, sizeBytes: 7, mtimeUs: 5_000_400, inode: 12 };

test('an entry comes back from the index as it was told', () => {
  const { entry: message } = toChange({ kind: 'put', entry }, undefined);
  assert.deepEqual(toTreeEntry('a/b', create(EntrySchema, message)), entry);
});

test('moves and deletions name paths only', () => {
  assert.deepEqual(toChange({ kind: 'delete', path: 'a', nodes: 3 }, undefined), { kind: Change_Kind.DELETE, path: 'a' });
  assert.deepEqual(toChange({ kind: 'move', path: 'a', newPath: 'b', isFolder: true }, undefined), {
    kind: Change_Kind.MOVE,
    path: 'a',
    newPath: 'b',
  });
});

// The hint's time is in whole milliseconds, so it stands for all microseconds in its one.
for (const [what, path, sizeBytes, mtimeMs, expected] of [
  ['the state it was made for', 'a/b', 7, 5000, 'tag'],
  ['another path', 'a/c', 7, 5000, ''],
  ['another size', 'a/b', 8, 5000, ''],
  ['an older state', 'a/b', 7, 4999, ''],
  ['a newer state', 'a/b', 7, 5001, ''],
] as const)
  test(`an etag for ${what} ${expected ? 'counts' : 'is left out'}`, () => {
    const change = toChange({ kind: 'put', entry }, new Map([[path, { etag: 'tag', sizeBytes, mtimeMs }]]));
    assert.equal(change.entry?.etag, expected);
  });
