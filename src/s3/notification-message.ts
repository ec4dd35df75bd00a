import { type Fault, invalidArgument } from '#kernel/fault.ts';

/** An object that a notification is about; the key as the message has it, which may be encoded. */
export interface NotifiedObject {
  readonly bucket: string;
  readonly key: string;
}

const recordsMax = 10_000;
/** A key of 1,024 bytes, each encoded. */
const keyLengthMax = 3 * 1024;
const bucketLengthMax = 255;
/** Nothing of what is in a tree changes with these. */
const quiet = /^(?:s3:)?Object(?:Accessed|Tagging|Acl)\b/;

/**
 * The objects that an S3 event notification says something happened to; nothing else of it is read. None for the message by which S3 tries a
 * receiver out.
 * Errors: `invalid_argument` with reason `notification_invalid`.
 * Source: S3, "Event message structure"; MinIO and Ceph send the same `Records`, MinIO with more beside them.
 */
export function readNotificationMessage(body: unknown): readonly NotifiedObject[] {
  const { Records: records, Event: event } = asObject(body) ?? {};
  if (records === undefined && event === 's3:TestEvent') return [];
  if (!Array.isArray(records)) throw invalid('it has no list "Records"');
  if (records.length > recordsMax) throw invalid(`it has ${records.length} records, and at most ${recordsMax} are read`);
  return records.flatMap((record: unknown, at) => {
    const { eventName, s3 } = asObject(record) ?? {};
    const { bucket, object } = asObject(s3) ?? {};
    const { name } = asObject(bucket) ?? {};
    const { key } = asObject(object) ?? {};
    if (!isText(name, bucketLengthMax)) throw invalid(`record ${at + 1} has no s3.bucket.name`);
    if (!isText(key, keyLengthMax)) throw invalid(`record ${at + 1} has no s3.object.key, or one that is longer than keys are`);
    return typeof eventName === 'string' && quiet.test(eventName) ? [] : [{ bucket: name, key }];
  });
}

function asObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
}

/** A lone surrogate is no text: it can be no part of a key. */
function isText(value: unknown, lengthMax: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= lengthMax && value.isWellFormed();
}

const invalid = (why: string): Fault =>
  invalidArgument(`The body is no S3 event notification: ${why}`, {
    reason: 'notification_invalid',
    hint: 'Send JSON such as {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "photos"}, "object": {"key": "a.jpg"}}}]}.',
  });
