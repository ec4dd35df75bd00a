import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';

export async function deleteBucketPolicy({ backend, bucket }: S3Call): Promise<S3Answer> {
  await backend.changeBucketSettings(bucket, ({ policy: _, ...others }) => others);
  return { status: 204 };
}
