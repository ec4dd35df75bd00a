import { assertAclsCanEnd, isOwnership } from '../access/ownership.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';

export async function putBucketOwnershipControls(call: S3Call): Promise<S3Answer> {
  const [rule, second] = (await call.xml('OwnershipControls')).all('Rule');
  const ownership = rule?.value('ObjectOwnership')?.trim();
  if (second || !isOwnership(ownership)) throw new S3Error('MalformedXML');
  await call.backend.changeBucketSettings(call.bucket, (current) => {
    if (ownership === 'BucketOwnerEnforced') assertAclsCanEnd(current);
    return { ...current, ownership };
  });
  return {};
}
