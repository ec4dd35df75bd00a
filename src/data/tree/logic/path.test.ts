import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPath, parsePath } from './path.ts';

test('a path is a datasource and what is in it', () => {
  assert.equal(parsePath(''), undefined);
  assert.deepEqual(parsePath('docs'), { datasource: 'docs', path: '' });
  assert.deepEqual(parsePath('docs/a b/ü.txt'), { datasource: 'docs', path: 'a b/ü.txt' });
  for (const path of ['docs', 'docs/a/b']) assert.equal(formatPath(parsePath(path) ?? { datasource: '', path: '' }), path);
});

for (const path of [
  '/',
  '/docs',
  'docs/',
  'a//b',
  'docs/.',
  'docs/../etc',
  '..',
  'docs/a\0b',
  'docs/a\ud800',
  `docs/${'x'.repeat(256)}`,
  'a/'.repeat(3000),
])
  test(`refused: ${JSON.stringify(path.slice(0, 20))}`, () => {
    assert.throws(() => parsePath(path), { reason: 'invalid_path' });
  });
