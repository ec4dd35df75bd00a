import type { Actor } from '#s3/actor.ts';
import type { NotificationRule } from '#s3/bucket-settings.ts';

/** A change that was committed, as its event tells it. */
export interface NotifiedChange {
  readonly position: number;
  readonly timeMs: number;
  readonly bucket: string;
  readonly key: string;
  readonly kind: 'put' | 'mkdir' | 'delete' | 'move';
  /** Only with `move`: where it is now. */
  readonly newKey?: string;
  readonly sizeBytes: number;
  readonly etag: string;
  /** Of a delete: that of the marker that was made. */
  readonly versionId?: string;
  readonly actor: Actor;
}

/** One thing to tell: `name` is such as `s3:ObjectCreated:Put`. */
export interface ObjectEvent {
  readonly name: string;
  readonly key: string;
}

const created: Readonly<Record<string, string>> = {
  PostObject: 'Post',
  CopyObject: 'Copy',
  CompleteMultipartUpload: 'CompleteMultipartUpload',
};

/** What S3 would tell of a change; nothing of buckets, and of folders that go with their last object. */
export function eventsOf({ key, kind, newKey = '', versionId, actor }: NotifiedChange): readonly ObjectEvent[] {
  if (key === '') return [];
  if (kind === 'put' || kind === 'mkdir') return [{ name: `s3:ObjectCreated:${created[actor.operation] ?? 'Put'}`, key }];
  if (kind === 'move')
    return [
      { name: 's3:ObjectRemoved:Delete', key },
      { name: 's3:ObjectCreated:Copy', key: newKey },
    ];
  if (key.endsWith('/') && actor.key !== key && `${actor.key}/` !== key) return [];
  const what = actor.operation === 'LifecycleExpiration' ? 'LifecycleExpiration' : 'ObjectRemoved';
  return [{ name: `s3:${what}:${versionId === undefined ? 'Delete' : 'DeleteMarkerCreated'}`, key }];
}

/** Whether a rule wants to hear of an event. Its words may end with `*`. */
export function isWanted({ events, prefix, suffix }: NotificationRule, { name, key }: ObjectEvent): boolean {
  const isNamed = events.some((word) => (word.endsWith('*') ? name.startsWith(word.slice(0, -1)) : word === name));
  return isNamed && key.startsWith(prefix) && key.endsWith(suffix);
}

/** What is sent: one record in S3's form. Source: S3, "Event message structure", version 2.1. */
export function notificationBody(
  change: NotifiedChange,
  event: ObjectEvent,
  rule: NotificationRule,
  ownerId: string,
): { readonly Records: readonly unknown[] } {
  const { bucket, sizeBytes, etag, versionId, position, timeMs, actor } = change;
  const isCreated = event.name.startsWith('s3:ObjectCreated:');
  return {
    Records: [
      {
        eventVersion: '2.1',
        eventSource: 'cellar:s3',
        awsRegion: 'us-east-1',
        eventTime: new Date(timeMs).toISOString(),
        eventName: event.name.slice('s3:'.length),
        userIdentity: { principalId: actor.userId },
        requestParameters: { sourceIPAddress: actor.address },
        responseElements: { 'x-amz-request-id': actor.requestId },
        // Not in S3: what was asked for.
        operation: actor.operation,
        s3: {
          s3SchemaVersion: '1.0',
          configurationId: rule.id,
          bucket: { name: bucket, ownerIdentity: { principalId: ownerId }, arn: `arn:aws:s3:::${bucket}` },
          object: {
            key: encodeURIComponent(event.key).replaceAll('%2F', '/').replaceAll('%20', '+'),
            ...(isCreated ? { size: sizeBytes, eTag: etag } : {}),
            ...(versionId === undefined ? {} : { versionId }),
            sequencer: position.toString(16).toUpperCase().padStart(16, '0'),
          },
        },
      },
    ],
  };
}
