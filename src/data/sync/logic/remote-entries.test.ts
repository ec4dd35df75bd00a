import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareUtf8 } from '#lib/utf8-order.ts';
import { compareEntries } from './entry.ts';
import { type ListedObject, remoteEntries } from './remote-entries.ts';

async function treeOf(keys: readonly string[], pieceSize = 2): Promise<{ paths: string[]; skipped: string[] }> {
  const objects = keys.toSorted(compareUtf8).map((key): ListedObject => ({ key, sizeBytes: 1, mtimeUs: 2, etag: 'e' }));
  const skipped: string[] = [];
  const pieces = remoteEntries({
    objects: (async function* () {
      for (let at = 0; at < objects.length; at += pieceSize) yield objects.slice(at, at + pieceSize);
    })(),
    isFolder: async (path) => keys.some((key) => key.startsWith(`${path}/`)),
    onSkip: (key) => skipped.push(key),
    epoch: () => 0,
  });
  const entries = (await Array.fromAsync(pieces)).flat();
  assert.deepEqual(entries.toSorted(compareEntries), entries, 'in tree order');
  return { paths: entries.map(({ path, isFolder }) => (isFolder ? `${path}/` : path)), skipped };
}

for (const [keys, paths, skipped] of [
  [[], [], []],
  [['a/b/c', 'a/d', 'e'], ['a/', 'a/b/', 'a/b/c', 'a/d', 'e'], []],
  [['a/', 'a/b/', 'c/'], ['a/', 'a/b/', 'c/'], []],
  [['a', 'a-', 'a/b', 'a0'], ['a-', 'a/', 'a/b', 'a0'], ['a']],
  [['a', 'a.txt', 'ab'], ['a', 'a.txt', 'ab'], []],
  [['/x', 'a//b', '../up', 'ok'], ['ok'], ['../up', '/x', 'a//b']],
] as const)
  test(`keys ${keys.join(' ')} make a tree`, async () => assert.deepEqual(await treeOf(keys), { paths, skipped }));

test('every key that is a path is there once, and every folder before its content', async () => {
  const name = fc.constantFrom('a', 'a-', 'b', '\u{1f600}', '\uffee');
  const key = fc
    .tuple(fc.array(name, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([names, isMarker]) => names.join('/') + (isMarker ? '/' : ''));
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(key, { maxLength: 15 }), fc.integer({ min: 1, max: 4 }), async (keys, pieceSize) => {
      const { paths, skipped } = await treeOf(keys, pieceSize);
      const folders = keys.flatMap((one) => [...one.matchAll(/\//g)].map(({ index }) => one.slice(0, index + 1)));
      const files = keys.filter((one) => !one.endsWith('/') && !folders.includes(`${one}/`));
      assert.deepEqual(paths.toSorted(compareUtf8), [...new Set([...folders, ...files])].sort(compareUtf8));
      assert.equal(skipped.length, keys.filter((one) => folders.includes(`${one}/`)).length);
    }),
    { numRuns: 300 },
  );
});
