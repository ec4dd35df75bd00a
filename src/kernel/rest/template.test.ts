import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Router } from './router.ts';
import { buildPath, parseTemplate, readVariable } from './template.ts';

const read = (template: string, path: string): Record<string, string | undefined> | undefined => {
  const parsed = parseTemplate(template);
  const router = new Router<true>();
  router.add('GET', parsed, true);
  const found = router.find('GET', path);
  return (
    found && Object.fromEntries(parsed.variables.map((variable) => [variable.field, readVariable(parsed, variable, found.raw)]))
  );
};

test('templates take values from paths', () => {
  const table: [string, string, Record<string, string | undefined> | undefined][] = [
    ['/v1/users', '/v1/users', {}],
    ['/v1/users', '/v1/users/', undefined],
    ['/v1/users/{name}', '/v1/users/ann', { name: 'ann' }],
    ['/v1/users/{name}', '/v1/users/', undefined],
    ['/v1/users/{name}', '/v1/users/a%2Fb%20c', { name: 'a/b c' }],
    ['/v1/users/{name}', '/v1/users/a%zz', { name: undefined }],
    ['/v1/users/{user.name}:lock', '/v1/users/ann:lock', { 'user.name': 'ann' }],
    ['/v1/users/{name}:lock', '/v1/users/ann:unlock', undefined],
    ['/v1/users/{name}', '/v1/users/ann:unlock', { name: 'ann:unlock' }],
    ['/v1/{name=shelves/*/books/*}/pages/{page}', '/v1/shelves/a/books/b%3A/pages/7', { name: 'shelves/a/books/b:', page: '7' }],
    ['/v1/tree/{path=**}', '/v1/tree', { path: '' }],
    ['/v1/tree/{path=**}', '/v1/tree/', { path: '' }],
    ['/v1/tree/{path=**}', '/v1/tree/a/b%20c/', { path: 'a/b c' }],
    ['/v1/tree/{path=**}', '/v1/tree/a//b', { path: undefined }],
    ['/v1/tree/{path=**}', '/v1/tree/a/%2e%2e/b', { path: undefined }],
    ['/v1/tree/{path=**}', '/v1/tree/a%2Fb', { path: undefined }],
    ['/v1/tree/{path=**}', '/v1/tree/a%00', { path: undefined }],
    ['/v1/tree/{path=**}', '/v1/tree/a%252Fb', { path: 'a%2Fb' }],
    ['/v1/tree/{path=**}', '/v1/tree/a:list', { path: 'a:list' }],
    ['/v1/tree/{path=**}:list', '/v1/tree/a:b:list', { path: 'a:b' }],
    ['/v1/tree/{path=**}:list', '/v1/tree/a%3Alist', undefined],
    ['/v1/tree/{path=**}:list', '/v1/tree/:list', { path: '' }],
    ['/v1/tree:list', '/v1/tree:list', {}],
  ];
  for (const [template, path, expected] of table) assert.deepEqual(read(template, path), expected, `${template} ${path}`);
});

test('malformed templates are refused', () => {
  for (const text of ['v1', '/v1//a', '/v1/{a', '/v1/{=*}', '/v1/**/a', '/v1/a b', '/v1/{a..b}', '/v1/a:b c'])
    assert.throws(() => parseTemplate(text), /Cannot start/, text);
});

test('fixed text wins over a variable, a verb over a name, and other methods are known', () => {
  const router = new Router<string>();
  for (const [method, path] of [
    ['GET', '/v1/users/me'],
    ['GET', '/v1/users/{name}'],
    ['POST', '/v1/users/{name}:lock'],
    ['GET', '/v1/{path=**}'],
    ['GET', '/v1/{path=**}:list'],
  ] as const)
    router.add(method, parseTemplate(path), path);
  assert.equal(router.find('GET', '/v1/users/me')?.value, '/v1/users/me');
  assert.equal(router.find('GET', '/v1/users/%6de')?.value, '/v1/users/me');
  assert.equal(router.find('GET', '/v1/users/you')?.value, '/v1/users/{name}');
  assert.equal(router.find('GET', '/v1/users/a/b')?.value, '/v1/{path=**}');
  assert.equal(router.find('GET', '/v1/users/me:list')?.value, '/v1/{path=**}:list');
  assert.equal(router.find('GET', '/v2'), undefined);
  assert.deepEqual(router.methodsAt('/v1/users/me:lock'), ['GET', 'POST']);
  assert.throws(() => router.add('GET', parseTemplate('/v1/users/{other}'), ''), /two methods/);
});

const step = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 8 })
  .filter((s) => !s.includes('/') && !s.includes('\0') && s !== '.' && s !== '..');

test('any path of names comes back from the URL it is sent as', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(step, fc.constantFrom('a:list', ':list', '%2F', 'a%3Ab', '...', ' ')), { maxLength: 4 }),
      (steps) => {
        const path = steps.join('/');
        for (const text of ['/v1/tree/{path=**}', '/v1/tree/{path=**}:list']) {
          const template = parseTemplate(text);
          const router = new Router<string>();
          router.add('GET', parseTemplate('/v1/tree/{path=**}'), '/v1/tree/{path=**}');
          router.add('GET', parseTemplate('/v1/tree/{path=**}:list'), '/v1/tree/{path=**}:list');
          const built = buildPath(template, () => path);
          assert.ok(built !== undefined);
          // As a browser or `fetch` would send it.
          const found = router.find('GET', new URL(built, 'http://x').pathname);
          assert.equal(found?.value, text);
          assert.equal(readVariable(template, template.variables[0]!, found.raw), path);
        }
      },
    ),
  );
});

test('values that no URL can carry are not built', () => {
  const tree = parseTemplate('/v1/tree/{path=**}');
  for (const path of ['..', 'a/../b', 'a//b', '/a', 'a/', 'a\0'])
    assert.equal(
      buildPath(tree, () => path),
      undefined,
      path,
    );
  assert.equal(
    buildPath(parseTemplate('/v1/{name}'), () => ''),
    undefined,
  );
  assert.equal(
    buildPath(parseTemplate('/v1/{name}'), () => 'a/b'),
    '/v1/a%2Fb',
  );
  assert.equal(
    buildPath(parseTemplate('/v1/{name=shelves/*}'), () => 'shelves/a'),
    '/v1/shelves/a',
  );
  assert.equal(
    buildPath(parseTemplate('/v1/{name=shelves/*}'), () => 'books/a'),
    undefined,
  );
});
