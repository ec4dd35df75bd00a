import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { readTagSet } from '../tagging.ts';

export async function putBucketTagging(call: S3Call): Promise<S3Answer> {
  const tags = readTagSet(await call.xml('Tagging'), 'bucket');
  await call.backend.changeBucketSettings(call.bucket, (settings) => ({ ...settings, tags }));
  return { status: 204 };
}
