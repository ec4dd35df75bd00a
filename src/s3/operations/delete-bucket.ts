import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';

/** Deletes an empty bucket; one that an administrator declared is not deleted over S3. */
export async function deleteBucket({ backend, bucket }: S3Call): Promise<S3Answer> {
  await backend.deleteBucket(bucket);
  return { status: 204 };
}
