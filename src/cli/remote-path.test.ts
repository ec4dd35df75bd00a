import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinRemote, parseCopyPath, parseRemotePath } from './remote-path.ts';

test('remote paths', () => {
  const cases: [string, string][] = [
    ['', ''],
    ['cellar:', ''],
    ['/', ''],
    ['docs', 'docs'],
    ['cellar:/docs//a/./b/', 'docs/a/b'],
    ['docs/a b', 'docs/a b'],
    ['cellar:docs/cellar:x', 'docs/cellar:x'],
  ];
  for (const [text, path] of cases) assert.equal(parseRemotePath(text), path);
  for (const text of ['..', 'docs/../x', 'a\0b']) assert.throws(() => parseRemotePath(text), { code: 'invalid_argument' });
});

test('sides of a copy', () => {
  assert.deepEqual(parseCopyPath('-'), { kind: 'stream' });
  assert.deepEqual(parseCopyPath('./cellar:x'), { kind: 'local', path: './cellar:x', isFolder: false });
  assert.deepEqual(parseCopyPath('cellar:docs/'), { kind: 'remote', path: 'docs', isFolder: true });
  assert.throws(() => parseCopyPath(''), { code: 'invalid_argument' });
  assert.equal(joinRemote('', 'a'), 'a');
  assert.equal(joinRemote('docs', ''), 'docs');
});
