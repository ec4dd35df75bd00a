import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSignatureV2Valid, parseAuthorizationV2, signTextV2, stringToSignV2 } from './sigv2.ts';

// Source: "Signing and authenticating REST requests", S3, examples.
const secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const examples = [
  {
    title: 'object GET',
    request: {
      method: 'GET',
      path: '/photos/puppy.jpg',
      query: [],
      headers: new Map([['date', 'Tue, 27 Mar 2007 19:36:42 +0000']]),
    },
    resource: '/awsexamplebucket1/photos/puppy.jpg',
    signature: 'qgk2+6Sv9/oM7G3qLEjTH1a1l1g=',
  },
  {
    title: 'list of a bucket',
    request: {
      method: 'GET',
      path: '/',
      query: [
        ['prefix', 'photos'],
        ['max-keys', '50'],
      ] as const,
      headers: new Map([['date', 'Tue, 27 Mar 2007 19:42:41 +0000']]),
    },
    resource: '/awsexamplebucket1/',
    signature: 'm0WP8eCtspQl5Ahe6L1SozdX9YA=',
  },
  {
    title: 'ACL of a bucket',
    request: {
      method: 'GET',
      path: '/',
      query: [['acl', '']] as const,
      headers: new Map([['date', 'Tue, 27 Mar 2007 19:44:46 +0000']]),
    },
    resource: '/awsexamplebucket1/',
    signature: '82ZHiFIjc+WbcwFKGUVEQspPn+0=',
  },
];
for (const { title, request, resource, signature } of examples)
  test(title, () => {
    const text = stringToSignV2(request, { kind: 'header' }, resource);
    assert.equal(signTextV2(secret, text), signature);
    assert.equal(isSignatureV2Valid(secret, text, signature), true);
    assert.equal(isSignatureV2Valid(secret, `${text} `, signature), false);
    assert.equal(isSignatureV2Valid(secret, text, ''), false);
  });

test('what a request says', () => {
  const parse = (query: readonly (readonly [string, string])[], headers: Readonly<Record<string, string>> = {}) =>
    parseAuthorizationV2({ method: 'GET', path: '/', query, headers: new Map(Object.entries(headers)) });
  assert.equal(parse([]), undefined);
  assert.equal(parse([], { authorization: 'AWS4-HMAC-SHA256 Credential=x' }), undefined);
  assert.deepEqual(parse([], { authorization: 'AWS key:sig=', date: 'Tue, 27 Mar 2007 19:36:42 +0000' }), {
    kind: 'header',
    accessKey: 'key',
    signature: 'sig=',
    timeMs: Date.UTC(2007, 2, 27, 19, 36, 42),
  });
  assert.equal(parse([], { authorization: 'AWS nonsense' })?.accessKey, '');
  const presigned = parse([
    ['AWSAccessKeyId', 'key'],
    ['Expires', '1175139620'],
    ['Signature', 'sig='],
  ]);
  assert.deepEqual(presigned, { kind: 'query', accessKey: 'key', signature: 'sig=', timeMs: 1_175_139_620_000 });
});
