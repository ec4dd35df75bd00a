import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assertTimely,
  canonicalRequest,
  emptySha256,
  isSignatureValid,
  parseAuthorization,
  type SignableRequest,
  SigV4Error,
  sha256Hex,
  signatureOf,
  signingKey,
} from './sigv4.ts';
import { presignQuery, signHeaders } from './sigv4-signer.ts';

/** The keys and time of the examples in "Authenticating Requests: Using the Authorization Header". */
const secretKey = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const credentials = { accessKey: 'AKIAIOSFODNN7EXAMPLE', secretKey, region: 'us-east-1' };
const timeMs = Date.UTC(2013, 4, 24);
const host = 'examplebucket.s3.amazonaws.com';

const request = (
  method: string,
  path: string,
  query: readonly [string, string][],
  headers: Record<string, string>,
): SignableRequest => ({
  method,
  path,
  query,
  headers: new Map(Object.entries({ host, ...headers })),
});

const examples: readonly (readonly [name: string, request: SignableRequest, payloadHash: string, signature: string])[] = [
  [
    'GET object',
    request('GET', '/test.txt', [], { range: 'bytes=0-9' }),
    emptySha256,
    'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  ],
  [
    'PUT object',
    request('PUT', '/test$file.text', [], { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' }),
    sha256Hex('Welcome to Amazon S3.'),
    '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  ],
  [
    'GET bucket lifecycle',
    request('GET', '/', [['lifecycle', '']], {}),
    emptySha256,
    'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  ],
  [
    'GET bucket (list objects)',
    request(
      'GET',
      '/',
      [
        ['max-keys', '2'],
        ['prefix', 'J'],
      ],
      {},
    ),
    emptySha256,
    '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  ],
];

for (const [name, signable, payloadHash, signature] of examples) {
  test(`published example: ${name}`, () => {
    assert.match(
      signHeaders(signable, payloadHash, credentials, timeMs)['authorization'] ?? '',
      new RegExp(`Signature=${signature}$`),
    );
  });
}

test('published example: presigned URL', () => {
  const query = presignQuery(request('GET', '/test.txt', [], {}), 86_400, credentials, timeMs);
  assert.deepEqual(query.at(-1), ['X-Amz-Signature', 'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404']);
});

test('published example: signing key', () => {
  const key = signingKey('wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', { date: '20120215', region: 'us-east-1', service: 'iam' });
  assert.equal(key.toString('hex'), 'f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d');
});

test('the canonical request encodes once, keeps the path and sorts the query by its encoded form', () => {
  const signable: SignableRequest = {
    method: 'GET',
    path: "/b/a//../ü %2F+(x)'",
    query: [
      ['b', 'x y'],
      ['a-', '1'],
      ['a', '2'],
      ['a', '1'],
      ['X-Amz-Signature', 'gone'],
    ],
    headers: new Map([
      ['host', 'h'],
      ['x-amz-meta-a', '  one   two  '],
    ]),
  };
  assert.equal(
    canonicalRequest(signable, ['host', 'x-amz-meta-a'], 'P'),
    'GET\n/b/a//../%C3%BC%20%252F%2B%28x%29%27\na=1&a=2&a-=1&b=x%20y\nhost:h\nx-amz-meta-a:one two\n\nhost;x-amz-meta-a\nP',
  );
});

function signed(options: { readonly headers?: Record<string, string>; readonly payloadHash?: string } = {}): SignableRequest {
  const base = request('PUT', '/key', [['a', 'b']], options.headers ?? {});
  const added = signHeaders(base, options.payloadHash ?? emptySha256, credentials, timeMs);
  return { ...base, headers: new Map([...base.headers, ...Object.entries(added)]) };
}

test('a signed request is accepted and every change to it is not', () => {
  const good = signed({ headers: { 'x-amz-meta-a': '1' } });
  const changes: readonly (readonly [string, SignableRequest])[] = [
    ['method', { ...good, method: 'GET' }],
    ['path', { ...good, path: '/key2' }],
    ['query', { ...good, query: [['a', 'c']] }],
    ['more query', { ...good, query: [...good.query, ['c', '']] }],
    ['header', { ...good, headers: new Map([...good.headers, ['x-amz-meta-a', '2']]) }],
    ['payload', { ...good, headers: new Map([...good.headers, ['x-amz-content-sha256', 'UNSIGNED-PAYLOAD']]) }],
  ];
  const verify = (signable: SignableRequest, secret = secretKey): boolean => {
    const authorization = parseAuthorization(signable);
    assert.ok(authorization);
    return isSignatureValid(signable, authorization, secret);
  };
  assert.equal(verify(good), true);
  assert.equal(verify(good, 'other'), false);
  for (const [name, changed] of changes) assert.equal(verify(changed), false, name);
});

test('a presigned request is accepted and cannot be changed', () => {
  const base = request('GET', '/key', [['response-content-type', 'text/plain']], {});
  const good = { ...base, query: presignQuery(base, 60, credentials, timeMs) };
  const authorization = parseAuthorization(good);
  assert.ok(authorization);
  assert.deepEqual([authorization.kind, authorization.expiresSec, authorization.payloadHash], ['query', 60, 'UNSIGNED-PAYLOAD']);
  assert.equal(isSignatureValid(good, authorization, secretKey), true);
  const longer = good.query.map(([name, value]) => [name, name === 'X-Amz-Expires' ? '600000' : value] as const);
  assert.equal(isSignatureValid({ ...good, query: longer }, authorization, secretKey), false);
});

test('what cannot be read is refused with its reason', () => {
  const good = signed();
  const withHeader = (name: string, value: string): SignableRequest => ({
    ...good,
    headers: new Map([...good.headers, [name, value]]),
  });
  const authorization = good.headers.get('authorization') ?? '';
  const cases: readonly (readonly [SignableRequest, string])[] = [
    [withHeader('authorization', 'AWS4-HMAC-SHA256 nonsense'), 'malformed_header'],
    [withHeader('authorization', authorization.replace('/s3/', '/')), 'malformed_header'],
    [withHeader('authorization', authorization.replace(/.$/, 'x')), 'malformed_header'],
    [withHeader('authorization', authorization.replace('20130524', '20130525')), 'malformed_header'],
    [withHeader('authorization', authorization.replace('=host;', '=')), 'unsigned_header'],
    [withHeader('x-amz-copy-source', '/a/b'), 'unsigned_header'],
    [withHeader('x-amz-date', 'yesterday'), 'missing_date'],
    [
      { ...good, headers: new Map([...good.headers].filter(([name]) => name !== 'x-amz-content-sha256')) },
      'missing_payload_hash',
    ],
    ...['0', '604801', '-1', '1.5', ''].map((expires): readonly [SignableRequest, string] => {
      const base = request('GET', '/key', [], {});
      const query = presignQuery(base, 60, credentials, timeMs).map(
        ([name, value]) => [name, name === 'X-Amz-Expires' ? expires : value] as const,
      );
      return [{ ...base, query }, 'expired'];
    }),
  ];
  for (const [spoiled, problem] of cases) {
    assert.throws(
      () => parseAuthorization(spoiled),
      (error) => error instanceof SigV4Error && error.problem === problem,
      problem,
    );
  }
  assert.equal(parseAuthorization(request('GET', '/', [], {})), undefined);
});

test('a signature has its time', () => {
  const header = parseAuthorization(signed());
  const base = request('GET', '/key', [], {});
  const query = parseAuthorization({ ...base, query: presignQuery(base, 60, credentials, timeMs) });
  assert.ok(header && query);
  const minutes = 60_000;
  const cases: readonly (readonly [typeof header, number, string | undefined])[] = [
    [header, 15 * minutes, undefined],
    [header, -15 * minutes, undefined],
    [header, 15 * minutes + 1, 'skewed'],
    [header, -15 * minutes - 1, 'skewed'],
    [query, 60_000, undefined],
    [query, 60_001, 'expired'],
    [query, -15 * minutes - 1, 'not_yet_valid'],
  ];
  for (const [authorization, offsetMs, problem] of cases) {
    const check = (): void => assertTimely(authorization, timeMs + offsetMs);
    if (problem === undefined) check();
    else assert.throws(check, (error) => error instanceof SigV4Error && error.problem === problem);
  }
});

test('signing twice gives the same', () => {
  const terms = {
    scope: { date: '20130524', region: 'r', service: 's3' },
    signedHeaders: ['host'],
    timestamp: '20130524T000000Z',
    payloadHash: 'x',
  };
  assert.equal(signatureOf(signed(), terms, 'a'), signatureOf(signed(), terms, 'a'));
});
