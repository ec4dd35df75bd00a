import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sortUtf8 } from '#lib/utf8-order.ts';
import type { FolderNames } from './folder-names.ts';
import { type FolderWalk, walkFolder } from './folder-walk.ts';

/** The folders of a set of keys, and how often each was read. */
function namesOf(keys: Iterable<string>): Pick<FolderNames, 'of'> & { readonly reads: string[] } {
  const folders = new Map<string, Set<string>>([['', new Set()]]);
  for (const key of keys) {
    const parts = key.split('/');
    for (const [index, part] of parts.entries()) {
      const folder = parts.slice(0, index).join('/');
      if (part !== '') folders.get(folder)?.add(index < parts.length - 1 ? `${part}/` : part);
      const path = parts.slice(0, index + 1).join('/');
      if (index < parts.length - 1 && !folders.has(path)) folders.set(path, new Set());
    }
  }
  const reads: string[] = [];
  return {
    reads,
    async of(path) {
      reads.push(path.join('/'));
      return sortUtf8([...(folders.get(path.join('/')) ?? [])]);
    },
  };
}

async function rest(walk: FolderWalk): Promise<string[]> {
  const found: string[] = [];
  for (let key = await walk.next(); key !== undefined; key = await walk.next()) found.push(key);
  return found;
}

const name = fc
  .string({ unit: fc.constantFrom('a', 'b', '.', '0', '-', '😀', 'ｚ'), minLength: 1, maxLength: 2 })
  .filter((text) => !/^\.+$/.test(text));
const key = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));
const bound = fc.oneof(
  fc.constant(''),
  key,
  key.map((text) => `${text}/`),
  fc.string({ maxLength: 2 }),
);

test('finds just the keys with the prefix that come after, in order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(key, { maxLength: 20 }), bound, bound, async (keys, prefix, after) => {
      // A file and a folder cannot have one name.
      const files = keys.filter((file) => !keys.some((other) => other.startsWith(`${file}/`)));
      const folders = files.flatMap((file) =>
        file
          .split('/')
          .slice(0, -1)
          .map((_, index, parts) => `${parts.slice(0, index + 1).join('/')}/`),
      );
      const all = sortUtf8([...new Set([...files, ...folders])]);
      const expected = all.filter((text) => text.startsWith(prefix) && Buffer.compare(Buffer.from(text), Buffer.from(after)) > 0);
      assert.deepEqual(await rest(walkFolder(namesOf(files), prefix, after)), expected);
    }),
    { numRuns: 500 },
  );
});

test('reads only the folders on the way to a page', async () => {
  const keys = ['a/1', 'b/c/1', 'b/d/1', 'b/d/2', 'e/1'];
  const cases: readonly (readonly [prefix: string, after: string, reads: readonly string[]])[] = [
    ['b/d/', '', ['', 'b', 'b/d']],
    ['', 'b/d/1', ['', 'b', 'b/d', 'e']],
    ['x', '', ['']],
    ['b/c', 'b/d', ['', 'b']],
  ];
  for (const [prefix, after, reads] of cases) {
    const names = namesOf(keys);
    await rest(walkFolder(names, prefix, after));
    assert.deepEqual(names.reads, reads, `${prefix} after ${after}`);
  }
});

test('what is skipped is not read', async () => {
  const names = namesOf(['a/1', 'a/2', 'b/1', 'c']);
  const walk = walkFolder(names, '', '');
  const found: string[] = [];
  for (let next = await walk.next(); next !== undefined; next = await walk.next()) {
    found.push(next);
    if (next.endsWith('/')) walk.skip(next);
  }
  assert.deepEqual([found, names.reads], [['a/', 'b/', 'c'], ['']]);
});
