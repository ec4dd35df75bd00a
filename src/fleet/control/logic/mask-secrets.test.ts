import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createMask, masked } from './mask-secrets.ts';

const key = [
  '-----BEGIN PRIVATE KEY-----',
  'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49',
  'AwEHBG0wawIBAQQgZ2V0IGEgbGlmZQ==',
  '-----END PRIVATE KEY-----',
  '',
].join('\n');

test('a secret is found in all its forms', () => {
  const secret = 'p&ss/word+1234';
  const mask = createMask([secret, key, '']);
  for (const text of [
    secret,
    `http://user:${encodeURIComponent(secret)}@host`,
    Buffer.from(`user:${secret}`).toString('base64'),
    Buffer.from(`ab${secret}xyz`).toString('base64url'),
    key,
    JSON.stringify({ key }),
    `a log line with ${key.split('\n')[1]}`,
  ]) {
    const shown = mask(text);
    assert.ok(shown.includes(masked), text);
    for (const part of [secret, ...key.split('\n').slice(1, 3)]) assert.ok(!shown.includes(part), shown);
  }
});

test('values are masked wherever they stand, and what is no text stays', () => {
  const mask = createMask(['abcdefgh']);
  assert.deepEqual(mask({ abcdefgh: [1, null, true, { deep: 'x abcdefgh y' }] }), {
    [masked]: [1, null, true, { deep: `x ${masked} y` }],
  });
  assert.equal(createMask([])('nothing'), 'nothing');
});

test('no secret is left in any text', () => {
  const secrets = fc.array(
    fc.uint8Array({ minLength: 8, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex')),
    { minLength: 1, maxLength: 4 },
  );
  fc.assert(
    fc.property(secrets, fc.array(fc.string(), { maxLength: 5 }), fc.nat({ max: 2 }), (all, between, shift) => {
      const text = all.map((secret, at) => `${between[at] ?? ''}${secret}`).join('');
      const shown = createMask(all)([text, Buffer.from(`${'x'.repeat(shift)}${text}`).toString('base64')]);
      for (const secret of all) assert.ok(!shown[0]?.includes(secret));
      const back = Buffer.from((shown[1] ?? '').replaceAll(masked, ''), 'base64').toString();
      for (const secret of all) assert.ok(!back.includes(secret));
    }),
  );
});
