import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CorsRule } from './bucket-settings.ts';
import { corsHeaders } from './cors.ts';
import { startTestS3 } from './testing/server.ts';

const rule = (rest: Partial<CorsRule>): CorsRule => ({
  origins: ['*'],
  methods: ['GET'],
  headers: [],
  exposedHeaders: [],
  ...rest,
});

const origins: readonly (readonly [pattern: string, origin: string, allowed: string | undefined, sendsCredentials: boolean])[] = [
  ['https://a.example', 'https://a.example', 'https://a.example', true],
  ['https://a.example', 'https://b.example', undefined, false],
  ['*', 'https://a.example', '*', false],
  ['https://*.example', 'https://a.example', 'https://a.example', false],
  ['https://*.example', 'https://.example', 'https://.example', false],
  ['https://*.example', 'https://a.example.evil', undefined, false],
  ['ab*ba', 'aba', undefined, false],
];
for (const [pattern, origin, allowed, sendsCredentials] of origins) {
  test(`CORS ${pattern} for ${origin}`, () => {
    const found = corsHeaders([rule({ origins: [pattern] })], origin, 'GET');
    assert.equal(found?.['access-control-allow-origin'], allowed);
    assert.equal(found?.['access-control-allow-credentials'], sendsCredentials ? 'true' : undefined);
  });
}

test('CORS takes the first rule whose origin, method and headers all fit', () => {
  const rules = [
    rule({ methods: ['PUT'], headers: ['x-amz-*'], maxAgeSeconds: 5 }),
    rule({ methods: ['PUT', 'GET'], headers: ['*'], exposedHeaders: ['etag'] }),
  ];
  assert.equal(corsHeaders(rules, 'a', 'PUT', ['x-amz-meta-a'])?.['access-control-max-age'], '5');
  const second = corsHeaders(rules, 'a', 'PUT', ['x-amz-meta-a', 'x-other']);
  assert.deepEqual(
    [second?.['access-control-allow-headers'], second?.['access-control-expose-headers']],
    ['x-amz-meta-a, x-other', 'etag'],
  );
  assert.equal(corsHeaders(rules, 'a', 'DELETE'), undefined);
});

test('Cors_of_a_bucket', async (t) => {
  const { client } = await startTestS3(t);
  const put = (rules: string) =>
    client.send('PUT', '/photos', { query: { cors: '' }, body: `<CORSConfiguration>${rules}</CORSConfiguration>` });
  const options = (headers: Record<string, string>) => client.sendRaw('OPTIONS', '/photos/a', headers);
  const page = { origin: 'https://page.example', 'access-control-request-method': 'PUT' };
  assert.equal((await client.send('GET', '/photos', { query: { cors: '' } })).code, 'NoSuchCORSConfiguration');
  assert.deepEqual([(await options({})).status, (await options(page)).code], [400, 'AccessForbidden']);
  const rules =
    '<CORSRule><ID>one</ID><AllowedOrigin>https://page.example</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><AllowedHeader>x-amz-*</AllowedHeader><MaxAgeSeconds>9</MaxAgeSeconds></CORSRule>';
  assert.equal((await put(rules)).status, 200);
  assert.match(
    (await client.send('GET', '/photos', { query: { cors: '' } })).text,
    /<ID>one<\/ID><AllowedMethod>PUT<\/AllowedMethod><AllowedOrigin>https:\/\/page.example<.*<MaxAgeSeconds>9</,
  );
  const told = await options({ ...page, 'access-control-request-headers': 'X-Amz-Date' });
  assert.deepEqual(
    [told.status, told.headers['access-control-allow-origin'], told.headers['access-control-allow-headers']],
    [200, 'https://page.example', 'x-amz-date'],
  );
  assert.equal((await options({ ...page, 'access-control-request-headers': 'x-other' })).code, 'AccessForbidden');
  const written = await client.send('PUT', '/photos/a', { body: 'x', headers: { origin: 'https://page.example' } });
  assert.equal(written.headers['access-control-allow-origin'], 'https://page.example');
  const refused = await client.sendRaw('PUT', '/photos/a', { origin: 'https://page.example', 'content-length': '0' });
  assert.deepEqual([refused.code, refused.headers['access-control-allow-origin']], ['AccessDenied', 'https://page.example']);
  const other = await client.send('GET', '/photos/a', { headers: { origin: 'https://page.example' } });
  assert.equal(other.headers['access-control-allow-origin'], undefined);
  for (const [bad, code] of [
    ['', 'MalformedXML'],
    ['<CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule>', 'MalformedXML'],
    ['<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>get</AllowedMethod></CORSRule>', 'InvalidRequest'],
    ['<CORSRule><AllowedOrigin>*a*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>', 'InvalidRequest'],
  ] as const)
    assert.equal((await put(bad)).code, code, bad);
  assert.equal((await client.send('DELETE', '/photos', { query: { cors: '' } })).status, 204);
  assert.equal((await options(page)).code, 'AccessForbidden');
});
