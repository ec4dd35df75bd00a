import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileRun } from './file-run.ts';
import type { TreeChange } from './store.ts';

/** A path is a file put there; with a slash at its end a folder; with a minus before it a deletion. */
function change(text: string): TreeChange {
  if (text.startsWith('-')) return { kind: 'delete', path: text.slice(1) };
  const isFolder = text.endsWith('/');
  const entry = { isFolder, sizeBytes: 0, mtimeUs: 0, inode: 0, etag: '' };
  return { kind: 'put', path: isFolder ? text.slice(0, -1) : text, entry };
}

for (const [what, changes, at, expected] of [
  ['no changes', [], 0, []],
  ['files at the top', ['a', 'b'], 0, ['a', 'b']],
  ['files of one folder', ['f/a', 'f/b', 'g/c'], 0, ['f/a', 'f/b']],
  ['files of the folder it starts in', ['f/a', 'g/b', 'g/c'], 1, ['g/b', 'g/c']],
  ['a name that comes again', ['f/a', 'f/b', 'f/a'], 0, ['f/a', 'f/b']],
  ['a deletion between', ['f/a', '-f/a', 'f/a'], 0, ['f/a']],
  ['a deletion first', ['-f/a', 'f/a'], 0, []],
  ['a folder', ['f/a', 'f/b/', 'f/c'], 0, ['f/a']],
] as const)
  test(`a run of ${what}`, () => {
    const run = fileRun(changes.map(change), at);
    assert.deepEqual(
      run.map(({ path }) => path),
      expected,
    );
  });
