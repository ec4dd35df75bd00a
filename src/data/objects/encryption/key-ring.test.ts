import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { encryptionOf } from './envelope.ts';
import { kmsKeyName, openKeyRing } from './key-ring.ts';

const dayMs = 86_400_000;

function start(t: TestContext, keyAgeMsMax = 0) {
  const folder = mkdtempSync(join(tmpdir(), 'cellar-keys-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'keys.json');
  const clock = { nowMs: 1_000 };
  return { path, folder, clock, open: () => openKeyRing({ path, kmsKeys: ['payroll'], keyAgeMsMax, now: () => clock.nowMs }) };
}

test('an envelope opens again after a restart; the ring is for its owner only', async (t) => {
  const { path, folder, open } = start(t);
  const ring = await open();
  const made = await Promise.all([
    ring.newDataKey({ kind: 'sse_s3' }),
    ring.newDataKey({ kind: 'sse_s3' }),
    ring.newDataKey({ kind: 'sse_kms', keyId: 'payroll', context: '{"a":"b"}' }),
    ring.newDataKey({ kind: 'sse_kms', keyId: 'aws/s3' }),
  ]);
  assert.equal(new Set(made.map(({ key }) => key.toString('hex'))).size, 4);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(folder), ['keys.json']);
  const again = await open();
  for (const { envelope, key } of made) assert.deepEqual(again.openEnvelope(envelope), key);
  assert.deepEqual(
    made.map(({ envelope }) => encryptionOf(envelope)),
    [
      { kind: 'sse_s3' },
      { kind: 'sse_s3' },
      { kind: 'sse_kms', keyId: 'payroll', context: '{"a":"b"}' },
      { kind: 'sse_kms', keyId: 'aws/s3' },
    ],
  );
});

test("a client's own key is not kept, and another one opens nothing", async (t) => {
  const { folder, open } = start(t);
  const ring = await open();
  const key = Buffer.alloc(32, 1);
  const { envelope, key: dataKey } = await ring.newDataKey({ kind: 'sse_c', key, keyMd5: 'md5' });
  assert.deepEqual(ring.openEnvelope(envelope, { key, keyMd5: 'md5' }), dataKey);
  assert.throws(() => ring.openEnvelope(envelope), { reason: 'customer_key_missing' });
  assert.throws(() => ring.openEnvelope(envelope, { key: Buffer.alloc(32, 2), keyMd5: 'md5' }), { reason: 'customer_key_wrong' });
  assert.deepEqual([Object.keys(envelope), readdirSync(folder)], [['kind', 'dataKey', 'keyMd5'], []]);
});

test('only named keys, by name, alias or ARN', async (t) => {
  const ring = await start(t).open();
  await assert.rejects(ring.newDataKey({ kind: 'sse_kms', keyId: 'other' }), { reason: 'no_such_kms_key' });
  for (const keyId of [
    'payroll',
    'alias/payroll',
    'arn:aws:kms:us-east-1:1:key/payroll',
    'arn:aws:kms:us-east-1:1:alias/payroll',
  ])
    await ring.newDataKey({ kind: 'sse_kms', keyId });
  assert.deepEqual(['', 'alias/aws/s3'].map(kmsKeyName), ['aws/s3', 'aws/s3']);
});

test('an old key is replaced for what is new and still opens what is old', async (t) => {
  const { clock, open } = start(t, 30 * dayMs);
  const ring = await open();
  const first = await ring.newDataKey({ kind: 'sse_s3' });
  clock.nowMs += 31 * dayMs;
  const second = await ring.newDataKey({ kind: 'sse_s3' });
  assert.notEqual(first.envelope.kind === 'sse_s3' && first.envelope.by, second.envelope.kind === 'sse_s3' && second.envelope.by);
  for (const { envelope, key } of [first, second]) assert.deepEqual((await open()).openEnvelope(envelope), key);
});

test('a lost key, a changed envelope and a damaged ring are said to be that', async (t) => {
  const { path, open } = start(t);
  const ring = await open();
  const { envelope } = await ring.newDataKey({ kind: 'sse_kms', keyId: 'payroll', context: 'a' });
  assert.throws(() => ring.openEnvelope({ ...envelope, context: 'b' } as typeof envelope), { reason: 'key_lost' });
  assert.throws(() => ring.openEnvelope({ ...envelope, dataKey: '' }), { reason: 'key_lost' });
  const text = readFileSync(path, 'utf8');
  rmSync(path);
  const empty = await open();
  assert.throws(() => empty.openEnvelope(envelope), { reason: 'key_lost' });
  for (const damaged of ['', '{}', text.slice(0, -20), text.replace(/"key": "..../, '"key": "')]) {
    writeFileSync(path, damaged);
    await assert.rejects(open(), { reason: 'key_ring_damaged' }, damaged);
  }
});
