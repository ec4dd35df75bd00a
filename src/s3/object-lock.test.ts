import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { S3Client } from './testing/client.ts';
import { startTestS3 } from './testing/server.ts';

const make = async (client: S3Client): Promise<void> => {
  const { status } = await client.send('PUT', '/locked', { headers: { 'x-amz-bucket-object-lock-enabled': 'true' } });
  assert.equal(status, 200);
};
const retention = (mode: string, untilMs: number): string =>
  `<Retention><Mode>${mode}</Mode><RetainUntilDate>${new Date(untilMs).toISOString()}</RetainUntilDate></Retention>`;
const hourMs = 3_600_000;

test('Locked_versions_cannot_be_deleted', async (t) => {
  const { client } = await startTestS3(t);
  await make(client);
  const put = await client.send('PUT', '/locked/a', { body: 'x', headers: { 'x-amz-object-lock-legal-hold': 'ON' } });
  const versionId = String(put.headers['x-amz-version-id']);
  const change = (word: string, body: string, headers = {}) =>
    client.send('PUT', '/locked/a', { query: { [word]: '', versionId }, body, headers });
  const remove = (headers = {}) => client.send('DELETE', '/locked/a', { query: { versionId }, headers });
  const bypass = { 'x-amz-bypass-governance-retention': 'true' };
  assert.equal((await remove(bypass)).code, 'AccessDenied', 'nothing goes round a legal hold');
  assert.equal((await change('legal-hold', '<LegalHold><Status>OFF</Status></LegalHold>')).status, 200);

  const soon = Date.now() + hourMs;
  assert.equal((await change('retention', retention('GOVERNANCE', soon))).status, 200);
  const head = await client.send('HEAD', '/locked/a');
  assert.deepEqual(
    ['mode', 'retain-until-date', 'legal-hold'].map((name) => head.headers[`x-amz-object-lock-${name}`]),
    ['GOVERNANCE', new Date(soon).toISOString(), 'OFF'],
  );
  assert.equal((await remove()).code, 'AccessDenied');
  assert.equal(
    (await client.send('DELETE', '/locked/a')).headers['x-amz-delete-marker'],
    'true',
    'a delete marker hides and keeps',
  );
  assert.equal((await change('retention', retention('GOVERNANCE', soon - 60_000))).code, 'AccessDenied');
  assert.equal((await change('retention', retention('COMPLIANCE', soon))).code, 'AccessDenied');
  assert.equal((await change('retention', retention('COMPLIANCE', soon), bypass)).status, 200);
  assert.equal((await change('retention', retention('COMPLIANCE', soon - 60_000), bypass)).code, 'AccessDenied');
  assert.equal((await change('retention', retention('GOVERNANCE', soon), bypass)).code, 'AccessDenied');
  assert.equal((await change('retention', '<Retention/>', bypass)).code, 'AccessDenied');
  assert.equal((await change('retention', retention('COMPLIANCE', soon + hourMs))).status, 200);
  assert.equal((await remove(bypass)).code, 'AccessDenied');
  const many = `<Delete><Object><Key>a</Key><VersionId>${versionId}</VersionId></Object></Delete>`;
  assert.match(
    (await client.send('POST', '/locked', { query: { delete: '' }, body: many, headers: bypass })).text,
    /AccessDenied/,
  );
});

test('Object_lock_needs_a_bucket_that_has_it', async (t) => {
  const { client } = await startTestS3(t);
  await client.send('PUT', '/photos/a', { body: 'x' });
  const send = (method: string, path: string, query: string, body?: string) =>
    client.send(method, path, { query: { [query]: '' }, ...(body === undefined ? {} : { body }) }).then(({ code }) => code);
  assert.equal(await send('GET', '/photos', 'object-lock'), 'ObjectLockConfigurationNotFoundError');
  assert.equal(await send('GET', '/photos/a', 'retention'), 'InvalidRequest');
  assert.equal(await send('PUT', '/photos/a', 'legal-hold', '<LegalHold><Status>ON</Status></LegalHold>'), 'InvalidRequest');
  const headers = { 'x-amz-object-lock-legal-hold': 'ON' };
  assert.equal((await client.send('PUT', '/photos/b', { body: 'x', headers })).code, 'InvalidRequest');
  const enabled = '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>';
  assert.equal(await send('PUT', '/photos', 'object-lock', enabled), 'InvalidBucketState');
});

test('PutObjectLockConfiguration_presets_retention', async (t) => {
  const { client } = await startTestS3(t);
  await make(client);
  const put = (rule: string) =>
    client.send('PUT', '/locked', {
      query: { 'object-lock': '' },
      body: `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>${rule}</DefaultRetention></Rule></ObjectLockConfiguration>`,
    });
  const wrong: readonly (readonly [string, string])[] = [
    ['<Mode>GOVERNANCE</Mode>', 'MalformedXML'],
    ['<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>', 'MalformedXML'],
    ['<Mode>governance</Mode><Days>1</Days>', 'MalformedXML'],
    ['<Mode>GOVERNANCE</Mode><Days>0</Days>', 'InvalidRetentionPeriod'],
    ['<Mode>GOVERNANCE</Mode><Years>101</Years>', 'InvalidRetentionPeriod'],
  ];
  for (const [rule, code] of wrong) assert.equal((await put(rule)).code, code, rule);
  assert.equal((await put('<Mode>COMPLIANCE</Mode><Days>2</Days>')).status, 200);
  const got = await client.send('GET', '/locked', { query: { 'object-lock': '' } });
  assert.match(got.text, /<Mode>COMPLIANCE<\/Mode><Days>2<\/Days>/);
  await client.send('PUT', '/locked/a', { body: 'x' });
  const { headers } = await client.send('HEAD', '/locked/a');
  assert.equal(headers['x-amz-object-lock-mode'], 'COMPLIANCE');
  const untilMs = Date.parse(String(headers['x-amz-object-lock-retain-until-date']));
  assert.ok(Math.abs(untilMs - Date.now() - 48 * hourMs) < hourMs);
  const suspended = '<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>';
  assert.equal((await client.send('PUT', '/locked', { query: { versioning: '' }, body: suspended })).code, 'InvalidBucketState');
});
