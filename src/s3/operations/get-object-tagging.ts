import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { readError, readRef } from '../object-ref.ts';
import { taggingResult } from '../tagging.ts';

export async function getObjectTagging(call: S3Call): Promise<S3Answer> {
  const ref = readRef(call);
  try {
    const { tags = {}, versionId } = await call.backend.head(ref);
    return { headers: { 'x-amz-version-id': versionId }, content: taggingResult(tags) };
  } catch (error) {
    throw readError(error, ref);
  }
}
