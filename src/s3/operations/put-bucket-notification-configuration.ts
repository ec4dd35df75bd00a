import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { readNotifications } from '../notification-xml.ts';

/** An empty document takes all rules away. */
export async function putBucketNotificationConfiguration(call: S3Call): Promise<S3Answer> {
  const notifications = readNotifications(await call.xml('NotificationConfiguration'));
  await call.backend.changeBucketSettings(call.bucket, ({ notifications: _, ...settings }) =>
    notifications.length === 0 ? settings : { ...settings, notifications },
  );
  return {};
}
