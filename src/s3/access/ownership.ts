import { type Acl, type BucketSettings, installation, type Owner } from '../bucket-settings.ts';
import { S3Error } from '../errors.ts';

/**
 * Whose objects are, and whether ACLs count. Where nothing was set: in a bucket that was declared all is the installation's and ACLs do not
 * count, so that a right to write files is none to show them to the world; in one made over S3 objects belong to their writers.
 */
export const ownershipOf = ({ owner, ownership }: BucketSettings): NonNullable<BucketSettings['ownership']> =>
  ownership ?? (owner.id === installation.id ? 'BucketOwnerEnforced' : 'ObjectWriter');

export const hasAcls = (settings: BucketSettings): boolean => ownershipOf(settings) !== 'BucketOwnerEnforced';

/** What is meant where no ACL was put: everything for the owner, nothing for others. */
export const privateAcl = (owner: Owner): Acl => ({
  owner,
  grants: [{ grantee: { kind: 'user', ...owner }, permission: 'FULL_CONTROL' }],
});

export const bucketAcl = (settings: BucketSettings): Acl =>
  settings.acl && hasAcls(settings) ? settings.acl : privateAcl(settings.owner);

/** Who owns an object and its ACL, as far as these count in its bucket. */
export function objectAcl(settings: BucketSettings, object: { readonly owner?: Owner; readonly acl?: Acl }): Acl {
  const owner = hasAcls(settings) ? (object.owner ?? settings.owner) : settings.owner;
  return object.acl && hasAcls(settings) ? { ...object.acl, owner } : privateAcl(owner);
}

export const isOwnership = (text: string | undefined): text is NonNullable<BucketSettings['ownership']> =>
  text === 'BucketOwnerEnforced' || text === 'BucketOwnerPreferred' || text === 'ObjectWriter';

/** Errors: `InvalidBucketAclWithObjectOwnership` while the bucket's ACL gives others something, which would silently end. */
export function assertAclsCanEnd({ owner, acl }: BucketSettings): void {
  const isPlain = acl?.grants.every(({ grantee }) => grantee.kind === 'user' && grantee.id === owner.id) ?? true;
  if (!isPlain) throw new S3Error('InvalidBucketAclWithObjectOwnership');
}
