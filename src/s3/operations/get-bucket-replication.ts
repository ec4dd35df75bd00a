import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';

/** Buckets are not replicated by S3 rules. */
export async function getBucketReplication({ backend, bucket }: S3Call): Promise<S3Answer> {
  await backend.headBucket(bucket);
  throw new S3Error('ReplicationConfigurationNotFoundError', undefined, { fields: { BucketName: bucket } });
}
