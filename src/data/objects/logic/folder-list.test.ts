import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { sortUtf8 } from '#lib/utf8-order.ts';
import { startBackend, textBody } from '../testing/start-backend.ts';
import type { LocalBackend } from './folder-backend.ts';

interface Tree {
  /** Written by others: files, and folders, which end with `/`. */
  readonly keys: readonly string[];
  /** Folders that were asked for over S3. */
  readonly markers: readonly string[];
}

const folder = fc
  .array(fc.constantFrom('a', 'a-', 'b', '😀'), { minLength: 1, maxLength: 3 })
  .map((names) => `${names.join('/')}/`);
const file = fc.tuple(fc.oneof(fc.constant(''), folder), fc.constantFrom('1', '2', '!', 'ｚ')).map((parts) => parts.join(''));
const tree: fc.Arbitrary<Tree> = fc.record({
  keys: fc.uniqueArray(fc.oneof(file, folder), { maxLength: 16 }),
  markers: fc.uniqueArray(folder, { maxLength: 3 }),
});

async function make(parent: string, bucket: string, backend: LocalBackend, { keys, markers }: Tree): Promise<readonly string[]> {
  const root = join(parent, bucket);
  mkdirSync(root);
  for (const key of keys) {
    mkdirSync(join(root, key.endsWith('/') ? key : dirname(key)), { recursive: true });
    if (!key.endsWith('/')) writeFileSync(join(root, key), key);
  }
  for (const key of markers) await backend.put({ bucket, key }, textBody(''), {});
  const all = [...new Set([...keys, ...markers])];
  const isEmpty = (key: string): boolean => !all.some((other) => other !== key && other.startsWith(key));
  return sortUtf8(all.filter((key) => !key.endsWith('/') || markers.includes(key) || isEmpty(key)));
}

async function pagesOf(backend: LocalBackend, bucket: string, limit: number, prefix: string, delimiter: string) {
  const found: { readonly keys: string[]; readonly groups: string[] } = { keys: [], groups: [] };
  for (let after: string | undefined = ''; after !== undefined; ) {
    const page = await backend.list(bucket, { prefix, delimiter, after, limit });
    const count = page.objects.length + page.commonPrefixes.length;
    assert.ok(page.next === undefined ? count <= limit : count === limit, 'a page is full unless it is the last');
    found.keys.push(...page.objects.map(({ key }) => key));
    found.groups.push(...page.commonPrefixes);
    after = page.next;
  }
  return found;
}

async function versionsOf(backend: LocalBackend, bucket: string, limit: number): Promise<readonly string[]> {
  const found: string[] = [];
  for (let after: string | undefined = ''; after !== undefined; ) {
    const page = await backend.listVersions(bucket, { prefix: '', delimiter: '', after, limit, afterVersionId: undefined });
    found.push(...page.versions.map(({ key }) => key));
    after = page.next?.key;
  }
  return found;
}

test('pages of every size have all objects of a tree once: files, empty folders and those asked for', async (t: TestContext) => {
  const { backend, parent } = await startBackend(t);
  let count = 0;
  await fc.assert(
    fc.asyncProperty(tree, fc.integer({ min: 1, max: 9 }), fc.constantFrom('', 'a', 'a/', 'b/a'), async (one, limit, prefix) => {
      const bucket = `tree-${++count}`;
      const keys = await make(parent, bucket, backend, one);
      const wanted = keys.filter((key) => key.startsWith(prefix));
      assert.deepEqual(await pagesOf(backend, bucket, limit, prefix, ''), { keys: wanted, groups: [] });
      const { groups } = await pagesOf(backend, bucket, limit, prefix, '/');
      const rest = (key: string): number => key.indexOf('/', prefix.length) + 1;
      const inFolders = wanted.filter((key) => rest(key) > 0).map((key) => key.slice(0, rest(key)));
      assert.deepEqual(groups, sortUtf8([...new Set(inFolders)]));
      assert.deepEqual(await versionsOf(backend, bucket, limit), keys);
    }),
    { numRuns: 60 },
  );
});
