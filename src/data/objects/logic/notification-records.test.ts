import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NotificationRule } from '#s3/bucket-settings.ts';
import { eventsOf, isWanted, type NotifiedChange, notificationBody } from './notification-records.ts';

const actor = { operation: 'PutObject', key: '', userId: 'u1', address: '192.0.2.7', requestId: 'R1' };
const change = (more: Partial<NotifiedChange>): NotifiedChange => ({
  ...{ position: 26, timeMs: 0, bucket: 'b', key: 'k', kind: 'put', sizeBytes: 5, etag: 'e', actor },
  ...more,
});
const by = (operation: string, key = '') => ({ ...actor, operation, key });

for (const [what, given, expected] of [
  ['a put', {}, ['s3:ObjectCreated:Put k']],
  ['a put that nobody is known of', { actor: by('') }, ['s3:ObjectCreated:Put k']],
  ['a form', { actor: by('PostObject') }, ['s3:ObjectCreated:Post k']],
  ['a copy', { actor: by('CopyObject') }, ['s3:ObjectCreated:Copy k']],
  ['an upload', { actor: by('CompleteMultipartUpload') }, ['s3:ObjectCreated:CompleteMultipartUpload k']],
  ['a delete', { kind: 'delete' }, ['s3:ObjectRemoved:Delete k']],
  ['a delete marker', { kind: 'delete', versionId: 'v' }, ['s3:ObjectRemoved:DeleteMarkerCreated k']],
  ['an expiration', { kind: 'delete', actor: by('LifecycleExpiration') }, ['s3:LifecycleExpiration:Delete k']],
  [
    'an expiration of a version',
    { kind: 'delete', versionId: 'v', actor: by('LifecycleExpiration') },
    ['s3:LifecycleExpiration:DeleteMarkerCreated k'],
  ],
  ['a folder that was emptied', { kind: 'delete', key: 'f/', actor: by('DeleteObject', 'f/k') }, []],
  ['a folder that was deleted', { kind: 'delete', key: 'f/', actor: by('DeleteObject', 'f/') }, ['s3:ObjectRemoved:Delete f/']],
  [
    'a folder that was deleted with all in it',
    { kind: 'delete', key: 'f/', actor: by('DeleteObject', 'f') },
    ['s3:ObjectRemoved:Delete f/'],
  ],
  ['a move', { kind: 'move', newKey: 'l' }, ['s3:ObjectRemoved:Delete k', 's3:ObjectCreated:Copy l']],
  ['a bucket', { kind: 'mkdir', key: '' }, []],
] as const satisfies readonly (readonly [string, Partial<NotifiedChange>, string[]])[])
  test(`events of ${what}`, () => {
    assert.deepEqual(
      eventsOf(change(given)).map(({ name, key }) => `${name} ${key}`),
      expected,
    );
  });

const rule = (more: Partial<NotificationRule>): NotificationRule => ({
  ...{ id: 'r', target: '', events: ['s3:ObjectCreated:*'], prefix: '', suffix: '' },
  ...more,
});

for (const [what, given, expected] of [
  ['any of a kind', {}, true],
  ['exactly this', { events: ['s3:ObjectCreated:Put'] }, true],
  ['another', { events: ['s3:ObjectRemoved:*', 's3:ObjectCreated:Copy'] }, false],
  ['everything', { events: ['s3:*'] }, true],
  ['prefix and suffix', { prefix: 'a/', suffix: '.jpg' }, true],
  ['another prefix', { prefix: 'b/' }, false],
  ['another suffix', { suffix: '.png' }, false],
] as const satisfies readonly (readonly [string, Partial<NotificationRule>, boolean])[])
  test(`a rule wants ${what}: ${expected}`, () => {
    assert.equal(isWanted(rule(given), { name: 's3:ObjectCreated:Put', key: 'a/x.jpg' }), expected);
  });

test('a record in the form of S3', () => {
  const given = change({ key: 'a b/ü+.txt', versionId: 'v1' });
  const [event] = eventsOf(given);
  assert.deepEqual(notificationBody(given, event!, rule({}), 'owner').Records, [
    {
      ...{ eventVersion: '2.1', eventSource: 'cellar:s3', awsRegion: 'us-east-1', eventTime: '1970-01-01T00:00:00.000Z' },
      eventName: 'ObjectCreated:Put',
      userIdentity: { principalId: 'u1' },
      requestParameters: { sourceIPAddress: '192.0.2.7' },
      responseElements: { 'x-amz-request-id': 'R1' },
      operation: 'PutObject',
      s3: {
        s3SchemaVersion: '1.0',
        configurationId: 'r',
        bucket: { name: 'b', ownerIdentity: { principalId: 'owner' }, arn: 'arn:aws:s3:::b' },
        object: { key: 'a+b/%C3%BC%2B.txt', size: 5, eTag: 'e', versionId: 'v1', sequencer: '000000000000001A' },
      },
    },
  ]);
});
