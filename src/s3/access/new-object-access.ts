import type { NewObject } from '../backend.ts';
import { type BucketSettings, installation } from '../bucket-settings.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { hasAclHeaders, isPublicAcl, readAclHeaders } from './acl.ts';
import { ownershipOf } from './ownership.ts';

/** ACLs that give the bucket's owner everything, which is how it is where ACLs do not count. */
const ownersAcls = new Set(['bucket-owner-full-control']);
/** Tools put these on everything; in a bucket where nobody chose how ACLs count they say nothing new. */
const plainAcls = new Set([...ownersAcls, 'private', 'bucket-owner-read']);

/**
 * Whose a new object is, and its ACL, from the headers of the write. What nobody signed for belongs to the owner of the bucket.
 * Errors: `AccessControlListNotSupported` where ACLs do not count, `AccessDenied` where public ones are blocked; those of `readAclHeaders`.
 */
export async function readNewObjectAccess(
  { headers, user, users }: Pick<S3Call, 'headers' | 'user' | 'users'>,
  settings: BucketSettings,
): Promise<Pick<NewObject, 'owner' | 'acl'>> {
  const ownership = ownershipOf(settings);
  const bucketOwner = settings.owner;
  const isOwn = !user || user.id === bucketOwner.id || ownership === 'BucketOwnerEnforced';
  const writer = isOwn ? bucketOwner : { id: user.id, displayName: user.displayName };
  const ofWriter = isOwn ? {} : { owner: writer };
  if (!hasAclHeaders(headers)) return ofWriter;
  const word = headers.get('x-amz-acl') ?? '';
  if (ownership === 'BucketOwnerEnforced') {
    const accepted = settings.ownership === undefined && bucketOwner.id === installation.id ? plainAcls : ownersAcls;
    if (!accepted.has(word)) throw new S3Error('AccessControlListNotSupported');
    return {};
  }
  if (ownership === 'BucketOwnerPreferred' && word === 'bucket-owner-full-control') return {};
  const acl = await readAclHeaders(headers, { owner: writer, bucketOwner }, users);
  if (acl && isPublicAcl(acl) && settings.publicAccessBlock?.blockPublicAcls) throw new S3Error('AccessDenied');
  return word === 'private' ? ofWriter : { ...ofWriter, acl };
}
