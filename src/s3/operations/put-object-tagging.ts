import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { readError, readRef } from '../object-ref.ts';
import { readTagSet } from '../tagging.ts';

export async function putObjectTagging(call: S3Call): Promise<S3Answer> {
  const ref = readRef(call);
  const tags = readTagSet(await call.xml('Tagging'), 'object');
  if (call.settings.policy) await call.authorize('PutObjectTagging', ref.bucket, ref.key, { versionId: ref.versionId, tags });
  try {
    const { versionId } = await call.backend.update(ref, () => ({ tags }));
    return { headers: { 'x-amz-version-id': versionId } };
  } catch (error) {
    throw readError(error, ref);
  }
}
