import { aclElement } from '../access/acl.ts';
import { objectAcl } from '../access/ownership.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { readError, readRef } from '../object-ref.ts';

export async function getObjectAcl(call: S3Call): Promise<S3Answer> {
  const ref = readRef(call);
  try {
    const info = await call.backend.head(ref);
    return { headers: { 'x-amz-version-id': info.versionId }, content: aclElement(objectAcl(call.settings, info)) };
  } catch (error) {
    throw readError(error, ref);
  }
}
