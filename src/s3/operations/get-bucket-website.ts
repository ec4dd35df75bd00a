import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';

/** Buckets are not served as websites. */
export async function getBucketWebsite({ backend, bucket }: S3Call): Promise<S3Answer> {
  await backend.headBucket(bucket);
  throw new S3Error('NoSuchWebsiteConfiguration', undefined, { fields: { BucketName: bucket } });
}
