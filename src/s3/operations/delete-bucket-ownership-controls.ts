import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';

export async function deleteBucketOwnershipControls({ backend, bucket }: S3Call): Promise<S3Answer> {
  await backend.changeBucketSettings(bucket, ({ ownership: _, ...others }) => others);
  return { status: 204 };
}
