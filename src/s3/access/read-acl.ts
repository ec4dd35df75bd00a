import { isDeepStrictEqual } from 'node:util';
import type { Acl, BucketSettings, Owner } from '../bucket-settings.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { isPublicAcl, readAclHeaders, readAclXml } from './acl.ts';
import { hasAcls, privateAcl } from './ownership.ts';

/** Errors: `AccessControlListNotSupported` where ACLs do not count, `AccessDenied` where public ones are blocked. */
export function assertAclAccepted(settings: BucketSettings, acl?: Acl): void {
  if (!hasAcls(settings)) throw new S3Error('AccessControlListNotSupported');
  if (acl && isPublicAcl(acl) && settings.publicAccessBlock?.blockPublicAcls)
    throw new S3Error('AccessDenied', 'Public ACLs are blocked by the public access block of the bucket');
}

/**
 * Tools put back what they have read, as with a copy. Where ACLs do not count since nobody chose how they do, that is no error.
 * Errors: `AccessControlListNotSupported` for anything else.
 */
export function assertNothingNew(settings: BucketSettings, acl: Acl): void {
  const { grants } = privateAcl(settings.owner);
  if (settings.ownership !== undefined || !isDeepStrictEqual(acl.grants, grants))
    throw new S3Error('AccessControlListNotSupported');
}

/** The ACL that a request puts, in its headers or its body. Errors: those of either. */
export async function readAcl(call: S3Call, owner: Owner): Promise<Acl> {
  const owners = { owner, bucketOwner: call.settings.owner };
  return (
    (await readAclHeaders(call.headers, owners, call.users)) ??
    (await readAclXml(await call.xml('AccessControlPolicy'), owners, call.users))
  );
}
