import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { readError, readRef } from '../object-ref.ts';

export async function deleteObjectTagging(call: S3Call): Promise<S3Answer> {
  const ref = readRef(call);
  try {
    const { versionId } = await call.backend.update(ref, () => ({ tags: undefined }));
    return { status: 204, headers: { 'x-amz-version-id': versionId } };
  } catch (error) {
    throw readError(error, ref);
  }
}
