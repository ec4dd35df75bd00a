import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { result } from '../xml-result.ts';

/** An empty answer: there is nothing to accelerate. */
export async function getBucketAccelerateConfiguration({ backend, bucket }: S3Call): Promise<S3Answer> {
  await backend.headBucket(bucket);
  return { content: result('AccelerateConfiguration', '') };
}
