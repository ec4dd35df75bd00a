import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryFolder, until } from '#kernel/testing/engines.ts';
import { exactVolume } from '../../volume.ts';
import { createFolderWatches } from './folder-watches.ts';

function start(t: TestContext) {
  const folder = temporaryFolder();
  const seen: string[] = [];
  const limits: string[] = [];
  const watches = createFolderWatches({
    root: folder.path,
    kind: 'folder',
    volume: exactVolume,
    onChange: (path, isContent) => seen.push(`${isContent ? '~' : '+'}${path}`),
    onOverflow: () => seen.push('overflow'),
    onLimit: (reason) => limits.push(reason),
  });
  t.after(() => {
    watches.clear();
    folder[Symbol.dispose]();
  });
  const add = (path: string): void => watches.add(path, statSync(join(folder.path, path)).ino);
  return { root: folder.path, watches, seen, limits, add };
}

test('what happens in watched folders is told by path, apart from our own folder', async (t) => {
  const { root, seen, add, watches } = start(t);
  mkdirSync(join(root, 'a/b'), { recursive: true });
  for (const path of ['', 'a', 'a/b']) add(path);
  assert.equal(watches.size, 3);
  writeFileSync(join(root, 'a/b/x'), '1');
  await until(() => seen.includes('+a/b/x') && seen.includes('~a/b/x'));
  mkdirSync(join(root, '.cellar'));
  writeFileSync(join(root, 'last'), '1');
  await until(() => seen.includes('+last'));
  assert.ok(!seen.some((line) => line.includes('.cellar')));
});

test('a watch follows its folder when that is moved, and is told its new name', async (t) => {
  const { root, seen, add, watches } = start(t);
  mkdirSync(join(root, 'a/b'), { recursive: true });
  for (const path of ['', 'a', 'a/b']) add(path);
  renameSync(join(root, 'a'), join(root, 'z'));
  watches.move('a', 'z');
  writeFileSync(join(root, 'z/b/x'), '1');
  await until(() => seen.includes('+z/b/x'));
  watches.remove('z');
  assert.equal(watches.size, 1);
});

test('a folder in the place of another gets a watch of its own, even with the same inode', async (t) => {
  const { root, seen, add } = start(t);
  mkdirSync(join(root, 'a'));
  for (const path of ['', 'a']) add(path);
  rmSync(join(root, 'a'), { recursive: true });
  mkdirSync(join(root, 'a'));
  await until(() => seen.filter((line) => line === '+a').length >= 2 && seen.includes('+a/a'));
  add('a');
  writeFileSync(join(root, 'a/x'), '1');
  await until(() => seen.includes('+a/x'));
});

test('more events at once than the system keeps are told as an overflow', { timeout: 60_000 }, async (t) => {
  const { root, seen, add } = start(t);
  add('');
  for (let at = 0; at < 6000; at++) writeFileSync(join(root, `f${at}`), 'x');
  await until(() => seen.includes('overflow'), 30_000);
});
