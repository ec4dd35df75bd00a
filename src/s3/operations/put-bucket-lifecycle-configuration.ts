import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { readLifecycle } from '../lifecycle-xml.ts';

export async function putBucketLifecycleConfiguration(call: S3Call): Promise<S3Answer> {
  const lifecycle = readLifecycle(await call.xml('LifecycleConfiguration'));
  await call.backend.changeBucketSettings(call.bucket, (settings) => ({ ...settings, lifecycle }));
  return {};
}
