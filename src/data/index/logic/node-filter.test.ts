import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredNode } from '../store/store.ts';
import { type NodeFilter, nodeTest } from './node-filter.ts';

const node = (path: string, sizeBytes: number, mtimeUs: number): StoredNode => ({
  ...{ id: 1, path, isFolder: path.endsWith('-f'), files: 0, sizeBytes, mtimeUs, inode: 0, etag: '' },
});
const nodes = [node('a-f', 0, 10), node('a-f/x.txt', 5, 20), node('a-f/y.jpg', 50, 30), node('Z.TXT', 500, 40)];

for (const [filter, expected] of [
  [{ kind: 'folder' }, ['a-f']],
  [{ kind: 'file' }, ['a-f/x.txt', 'a-f/y.jpg', 'Z.TXT']],
  [{ pattern: '*.txt' }, ['a-f/x.txt']],
  [{ pattern: '*.txt', ignoreCase: true }, ['a-f/x.txt', 'Z.TXT']],
  [{ sizeMin: 0 }, ['a-f/x.txt', 'a-f/y.jpg', 'Z.TXT']],
  [{ sizeMin: 50, sizeMax: 50 }, ['a-f/y.jpg']],
  [{ fromUs: 10, beforeUs: 30 }, ['a-f', 'a-f/x.txt']],
  [{ pattern: 'a*', sizeMax: 100 }, []],
] satisfies [NodeFilter, string[]][])
  test(`${JSON.stringify(filter)} lets through ${expected.join(', ') || 'nothing'}`, () => {
    assert.deepEqual(
      nodes.filter((one) => nodeTest(filter)?.(one)).map(({ path }) => path),
      expected,
    );
  });

test('no bounds are no test', () => {
  assert.equal(nodeTest({ pattern: '' }), undefined);
});
