import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { notificationElements } from '../notification-xml.ts';
import { result } from '../xml-result.ts';

export async function getBucketNotificationConfiguration({ settings }: S3Call): Promise<S3Answer> {
  const { notifications = [] } = settings;
  return { content: result('NotificationConfiguration', notificationElements(notifications)) };
}
