import { assertAclAccepted, readAcl } from '../access/read-acl.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';

export async function putBucketAcl(call: S3Call): Promise<S3Answer> {
  const { backend, bucket, settings } = call;
  assertAclAccepted(settings);
  const acl = await readAcl(call, settings.owner);
  await backend.changeBucketSettings(bucket, (current) => {
    assertAclAccepted(current, acl);
    return { ...current, acl };
  });
  return {};
}
