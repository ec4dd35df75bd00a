import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';

export async function headBucket({ backend, bucket, region }: S3Call): Promise<S3Answer> {
  await backend.headBucket(bucket);
  return { headers: { 'x-amz-bucket-region': region, 'x-amz-access-point-alias': 'false' } };
}
