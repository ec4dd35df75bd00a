import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';

export async function deleteBucketCors({ backend, bucket }: S3Call): Promise<S3Answer> {
  await backend.changeBucketSettings(bucket, ({ cors: _, ...settings }) => settings);
  return { status: 204 };
}
