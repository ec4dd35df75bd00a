import assert from 'node:assert/strict';
import { test } from 'node:test';
import { baseName, goesInto, isSafeName } from './plan.ts';

test('where copies go', () => {
  const one = { count: 1, hasFolder: false };
  const folder = { count: 1, hasFolder: true };
  const many = { count: 2, hasFolder: false };
  const seen = (kind: 'file' | 'folder' | 'absent', isFolderWritten = false) => ({ kind, isFolderWritten, shown: 'x' });
  assert.equal(goesInto(seen('folder'), one), true);
  assert.equal(goesInto(seen('folder'), many), true);
  assert.equal(goesInto(seen('file'), one), false);
  assert.equal(goesInto(seen('absent'), one), false);
  assert.equal(goesInto(seen('absent'), folder), false);
  assert.equal(goesInto(seen('absent', true), one), true);
  assert.equal(goesInto(seen('absent', true), many), true);
  for (const [target, sources] of [
    [seen('file'), many],
    [seen('file'), folder],
    [seen('file', true), one],
    [seen('absent'), many],
  ] as const) {
    assert.throws(() => goesInto(target, sources), { code: 'invalid_argument' });
  }
});

test('names', () => {
  for (const [path, name] of [
    ['a/b/', 'b'],
    ['.', ''],
    ['..', ''],
    ['/', ''],
    ['a', 'a'],
  ] as const) {
    assert.equal(baseName(path), name);
  }
  for (const name of ['', '.', '..', '../x', 'a/b', 'a\0']) assert.equal(isSafeName(name), false, name);
  for (const name of ['a', '...', ' ', '-rf', 'ä']) assert.equal(isSafeName(name), true, name);
});
