import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readNotificationMessage } from './notification-message.ts';

const record = (eventName: string, key: unknown, name: unknown = 'photos') => ({
  eventName,
  s3: { bucket: { name }, object: { key, size: 5, eTag: 'not believed' } },
});

test('the objects of a notification are read, whoever sent it', () => {
  const ours = { Records: [record('ObjectCreated:Put', 'a+b.txt')] };
  assert.deepEqual(readNotificationMessage(ours), [{ bucket: 'photos', key: 'a+b.txt' }]);
  const minio = { EventName: 's3:ObjectRemoved:Delete', Key: 'photos/a', Records: [record('s3:ObjectRemoved:Delete', 'a%2Fb')] };
  assert.deepEqual(readNotificationMessage(minio), [{ bucket: 'photos', key: 'a%2Fb' }]);
  const quiet = ['s3:ObjectAccessed:Get', 'ObjectTagging:Put', 'ObjectAcl:Put'].map((name) => record(name, 'a'));
  assert.deepEqual(readNotificationMessage({ Records: quiet }), []);
  assert.deepEqual(readNotificationMessage({ Service: 'Amazon S3', Event: 's3:TestEvent', Bucket: 'photos' }), []);
  assert.deepEqual(readNotificationMessage({ Records: [] }), []);
});

test('what is no notification is refused', () => {
  for (const body of [
    ...[undefined, null, 'text', 7, [], {}, { Records: {} }, { Records: [null] }, { Records: ['x'] }],
    ...[record('ObjectCreated:Put', ''), record('ObjectCreated:Put', 7), record('ObjectCreated:Put', '\ud800')].map((one) => ({
      Records: [one],
    })),
    { Records: [record('ObjectCreated:Put', 'a', '')] },
    { Records: [record('ObjectCreated:Put', 'x'.repeat(4000))] },
    { Records: Array.from({ length: 10_001 }, () => record('ObjectCreated:Put', 'a')) },
  ])
    assert.throws(() => readNotificationMessage(body), { reason: 'notification_invalid' }, JSON.stringify(body)?.slice(0, 80));
});
