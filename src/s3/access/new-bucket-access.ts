import type { BucketSettings, Owner } from '../bucket-settings.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { readAclHeaders } from './acl.ts';
import { assertAclsCanEnd, isOwnership } from './ownership.ts';

/** What the headers of CreateBucket say about its ACL and who owns objects in it. Errors: as `readAclHeaders`, and when the two do not fit. */
export async function readNewBucketAccess(
  { headers, users }: Pick<S3Call, 'headers' | 'users'>,
  owner: Owner,
): Promise<Pick<BucketSettings, 'acl' | 'ownership'>> {
  const ownership = headers.get('x-amz-object-ownership');
  if (ownership !== undefined && !isOwnership(ownership)) {
    throw new S3Error('InvalidArgument', 'Invalid x-amz-object-ownership header', {
      fields: { ArgumentName: 'x-amz-object-ownership', ArgumentValue: ownership },
    });
  }
  const acl = await readAclHeaders(headers, { owner, bucketOwner: owner }, users);
  if (ownership === 'BucketOwnerEnforced') assertAclsCanEnd({ owner, ...(acl ? { acl } : {}) });
  return { ...(acl ? { acl } : {}), ...(ownership ? { ownership } : {}) };
}
