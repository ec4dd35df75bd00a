import assert from 'node:assert/strict';
import { test } from 'node:test';
import { S3Error } from '../errors.ts';
import { assertPostAllowed, parsePostPolicy } from './post-policy.ts';

const expiration = '2030-01-01T00:00:00Z';
const nowMs = Date.parse('2029-01-01T00:00:00Z');
const encode = (document: unknown): string =>
  Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)).toString('base64');
const fields = (more: Readonly<Record<string, string>> = {}): Map<string, string> =>
  new Map(Object.entries({ bucket: 'docs', key: 'user/a.jpg', policy: 'x', 'x-amz-signature': 'x', ...more }));
const key = ['starts-with', '$key', 'user/'];

const decided: readonly (readonly [
  conditions: readonly unknown[],
  more: Readonly<Record<string, string>>,
  isAllowed: boolean,
])[] = [
  [[key, { bucket: 'docs' }], {}, true],
  [[key, { bucket: 'other' }], {}, false],
  [[['starts-with', '$key', 'other/']], {}, false],
  [[['eq', '$key', 'user/a.jpg']], {}, true],
  [[['eq', '$key', 'user/']], {}, false],
  [[], {}, false],
  [[key, { acl: 'private' }], { acl: 'private' }, true],
  [[key, { acl: 'private' }], { acl: 'public-read' }, false],
  [[key, { acl: 'private' }], {}, false],
  [[key], { acl: 'private' }, false],
  [[key, ['starts-with', '$acl', '']], { acl: 'public-read' }, true],
  [[key], { 'x-ignore-me': 'x', 'x-amz-checksum-crc32': 'x' }, true],
  [[key], { 'x-amz-meta-a': 'x' }, false],
  [[key], { 'x-amz-storage-class': 'x' }, false],
  [[key, ['starts-with', '$Content-Type', 'image/']], { 'content-type': 'image/png' }, true],
  [[key, ['starts-with', '$Content-Type', 'image/']], { 'content-type': 'text/html' }, false],
  [[key, ['starts-with', '$Content-Type', 'image/']], { 'content-type': 'image/png,text/html' }, false],
  [[key, ['EQ', '$X-Amz-Meta-A', 'x']], { 'x-amz-meta-a': 'x' }, true],
  [[key, ['eq', '$x-amz-meta-a', 'x']], { 'x-amz-meta-a': 'X' }, false],
  [[key, { success_action_redirect: 'https://a/' }], { success_action_redirect: 'https://b/' }, false],
];
for (const [conditions, more, isAllowed] of decided)
  test(`${JSON.stringify(conditions)} with ${JSON.stringify(more)}`, () => {
    const check = (): void => assertPostAllowed(parsePostPolicy(encode({ expiration, conditions })), fields(more), nowMs);
    if (isAllowed) check();
    else assert.throws(check, (error) => error instanceof S3Error && error.code === 'AccessDenied');
  });

test('a policy ends', () => {
  const policy = parsePostPolicy(encode({ expiration, conditions: [key] }));
  assertPostAllowed(policy, fields(), Date.parse(expiration));
  assert.throws(() => assertPostAllowed(policy, fields(), Date.parse(expiration) + 1), /Policy expired/);
});

test('all sizes hold', () => {
  const ranges = [
    ['content-length-range', 1, 100],
    ['Content-Length-Range', '5', '200'],
  ];
  const { sizeBytesMin, sizeBytesMax } = parsePostPolicy(encode({ expiration, conditions: ranges }));
  assert.deepEqual([sizeBytesMin, sizeBytesMax], [5, 100]);
});

const refused: readonly unknown[] = [
  '{',
  '[]',
  { conditions: [] },
  { expiration },
  { expiration: 'tomorrow', conditions: [] },
  { expiration: '2030-01-01', conditions: [] },
  { Expiration: expiration, conditions: [] },
  { expiration, conditions: {} },
  { expiration, conditions: [{}] },
  { expiration, conditions: ['eq'] },
  { expiration, conditions: [{ acl: 1 }] },
  { expiration, conditions: [['eq', 'key', 'a']] },
  { expiration, conditions: [['eq', '$key']] },
  { expiration, conditions: [['like', '$key', 'a']] },
  { expiration, conditions: [['content-length-range', 0]] },
  { expiration, conditions: [['content-length-range', -1, 5]] },
  { expiration, conditions: [['content-length-range', 0, 'many']] },
];
for (const document of refused)
  test(`InvalidPolicyDocument ${JSON.stringify(document)}`, () =>
    assert.throws(
      () => parsePostPolicy(encode(document)),
      (error) => error instanceof S3Error && error.code === 'InvalidPolicyDocument',
    ));
