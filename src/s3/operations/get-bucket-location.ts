import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { result } from '../xml-result.ts';

/** S3 writes its first region, us-east-1, as nothing. */
export async function getBucketLocation({ backend, bucket, region }: S3Call): Promise<S3Answer> {
  await backend.headBucket(bucket);
  return { content: result('LocationConstraint', region === 'us-east-1' ? '' : region) };
}
