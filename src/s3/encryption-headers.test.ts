import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { installation } from './bucket-settings.ts';
import { readCustomerKey, readEncryption } from './encryption-headers.ts';
import { S3Error } from './errors.ts';

const key = Buffer.alloc(32, 7);
const keyMd5 = createHash('md5').update(key).digest('base64');
const customer = { algorithm: 'AES256', key: key.toString('base64'), 'key-md5': keyMd5 };
const headersOf = (parts: Readonly<Record<string, string>>) =>
  new Map(Object.entries(parts).map(([name, value]) => [`x-amz-server-side-encryption-customer-${name}`, value]));

function codeOf(work: () => unknown): string {
  try {
    work();
    return 'ok';
  } catch (error) {
    assert.ok(error instanceof S3Error);
    return error.code;
  }
}

const keys: readonly (readonly [what: string, parts: Record<string, string>, code: string])[] = [
  ['all of it', customer, 'ok'],
  ['none of it', {}, 'ok'],
  ['no algorithm', { key: customer.key, 'key-md5': keyMd5 }, 'InvalidArgument'],
  ['another algorithm', { ...customer, algorithm: 'DES' }, 'InvalidEncryptionAlgorithmError'],
  ['no key', { algorithm: 'AES256', 'key-md5': keyMd5 }, 'InvalidArgument'],
  ['no digest', { algorithm: 'AES256', key: customer.key }, 'InvalidArgument'],
  ['a short key', { ...customer, key: 'AAAA' }, 'InvalidArgument'],
  ['the digest of another', { ...customer, 'key-md5': 'AAAAAAAAAAAAAAAAAAAAAA==' }, 'InvalidArgument'],
];
for (const [what, parts, code] of keys)
  test(`key of a client: ${what}`, () =>
    assert.equal(
      codeOf(() => readCustomerKey(headersOf(parts))),
      code,
    ));

const settings = { owner: installation };
const name = 'x-amz-server-side-encryption';

test('a write is encrypted as it says, or else as its bucket does', () => {
  const read = (headers: Record<string, string>, encryption?: { algorithm: 'AES256' | 'aws:kms'; keyId?: string }) =>
    readEncryption(new Map(Object.entries(headers)), encryption ? { ...settings, encryption } : settings);
  assert.equal(read({}), undefined);
  assert.deepEqual(read({}, { algorithm: 'AES256' }), { kind: 'sse_s3' });
  assert.deepEqual(read({}, { algorithm: 'aws:kms', keyId: 'k' }), { kind: 'sse_kms', keyId: 'k' });
  assert.deepEqual(read({ [name]: 'AES256' }, { algorithm: 'aws:kms', keyId: 'k' }), { kind: 'sse_s3' });
  assert.deepEqual(read({ [name]: 'aws:kms', [`${name}-aws-kms-key-id`]: 'j' }), { kind: 'sse_kms', keyId: 'j' });
  assert.deepEqual(readEncryption(headersOf(customer), settings), { kind: 'sse_c', key, keyMd5 });
});

test('what cannot be encrypted together is refused', () => {
  const both = new Map([...headersOf(customer), [name, 'AES256']]);
  assert.equal(
    codeOf(() => readEncryption(both, settings)),
    'InvalidArgument',
  );
  assert.equal(
    codeOf(() => readEncryption(new Map([[`${name}-aws-kms-key-id`, 'k']]), settings)),
    'InvalidArgument',
  );
  assert.equal(
    codeOf(() => readEncryption(new Map([[name, 'rot13']]), settings)),
    'InvalidArgument',
  );
  assert.equal(
    codeOf(() => readEncryption(new Map([[name, 'aws:kms:dsse']]), settings)),
    'NotImplemented',
  );
});
