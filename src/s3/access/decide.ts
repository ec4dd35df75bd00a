import type { Acl, BucketSettings, Permission, Tags } from '../bucket-settings.ts';
import type { S3User } from '../call.ts';
import type { OperationName } from '../operation-names.ts';
import type { Actions } from './actions.ts';
import type { ConditionContext } from './conditions.ts';
import { bucketAcl, hasAcls } from './ownership.ts';
import { type BucketPolicy, evaluatePolicy } from './policy.ts';

/** What is known of the object a request is about, as far as its rights go. */
export interface ObjectAccess {
  readonly acl: Acl;
  readonly tags: Tags;
}

export interface AccessQuestion {
  /** Absent: somebody who did not say. */
  readonly user: S3User | undefined;
  readonly operation: OperationName;
  readonly actions: Actions;
  readonly bucket: string;
  /** Empty: the bucket itself. */
  readonly key: string;
  readonly settings: BucketSettings;
  readonly policy: BucketPolicy | undefined;
  /** What the policies of the platform and the scopes of the credential say. */
  readonly platform: 'allowed' | 'forbidden' | 'undecided';
  /** Knows the tags of the object when `object` is there. */
  readonly context: ConditionContext;
  /** Absent: not looked up yet; `missing`: there is none. */
  readonly object?: ObjectAccess | 'missing' | undefined;
}

/** `ask_object`: the answer depends on the object; look it up and ask again. */
export type AccessAnswer = 'allowed' | 'denied' | 'ask_object';

/** What an ACL of a bucket lets do. Source: S3, "Access control list (ACL) overview". */
const byBucketAcl: Partial<Readonly<Record<OperationName, Permission>>> = {
  HeadBucket: 'READ',
  ListObjects: 'READ',
  ListObjectsV2: 'READ',
  ListObjectVersions: 'READ',
  ListMultipartUploads: 'READ',
  PutObject: 'WRITE',
  PostObject: 'WRITE',
  CopyObject: 'WRITE',
  DeleteObject: 'WRITE',
  CreateMultipartUpload: 'WRITE',
  UploadPart: 'WRITE',
  UploadPartCopy: 'WRITE',
  CompleteMultipartUpload: 'WRITE',
  AbortMultipartUpload: 'WRITE',
  ListParts: 'WRITE',
  GetBucketAcl: 'READ_ACP',
  PutBucketAcl: 'WRITE_ACP',
};

/** What an ACL of an object lets do. */
const byObjectAcl: Partial<Readonly<Record<OperationName, Permission>>> = {
  GetObject: 'READ',
  HeadObject: 'READ',
  GetObjectAttributes: 'READ',
  GetObjectAcl: 'READ_ACP',
  PutObjectAcl: 'WRITE_ACP',
};

const policyOperations: ReadonlySet<OperationName> = new Set(['GetBucketPolicy', 'PutBucketPolicy', 'DeleteBucketPolicy']);

/** Operations that only look: of an object that is not there, who may list the bucket is told so, and nobody else. */
export const looks: ReadonlySet<OperationName> = new Set([
  'GetObject',
  'HeadObject',
  'GetObjectAttributes',
  'GetObjectAcl',
  'GetObjectTagging',
]);

/**
 * May they? Denied unless something allows it, in this order:
 *
 * 1. the credential's scopes or a policy of the platform forbid it: denied;
 * 2. the bucket's policy denies it: denied, but owner and administrators can always mend the policy itself;
 * 3. a policy of the platform, owning the bucket, its policy, or an ACL allows it: allowed;
 * 4. denied.
 */
export function decide(question: AccessQuestion): AccessAnswer {
  const { user, operation, actions, bucket, key, settings, policy, platform, context, object } = question;
  if (platform === 'forbidden') return 'denied';
  if (policy?.needsObjectTags && key !== '' && object === undefined) return 'ask_object';
  const isOwner = user !== undefined && user.id === settings.owner.id;
  const isMaster = isOwner || user?.isAdministrator === true;
  const resource = key === '' ? bucket : `${bucket}/${key}`;
  const effectOf = (action: string): 'allow' | 'deny' | 'none' =>
    policy ? evaluatePolicy(policy, { userId: user?.id, action, resource, context }) : 'none';
  const needed = [...actions.needed, ...actions.special].map(effectOf);
  const isDenied = needed.includes('deny') || actions.implied.some((action) => effectOf(action) === 'deny');
  if (isDenied && !(isMaster && policyOperations.has(operation))) return 'denied';
  const block = settings.publicAccessBlock;
  const policyCounts = !(policy?.isPublic && block?.restrictPublicBuckets);
  const allows = (effects: readonly string[]): boolean => policyCounts && effects.every((effect) => effect === 'allow');
  // A right to write is none to take away what was locked.
  if (actions.special.length > 0 && !isMaster && !allows(needed.slice(actions.needed.length))) return 'denied';

  // Anybody is never let in by the platform's policies: what is open to the world says so at the bucket.
  if (user && platform === 'allowed') return 'allowed';
  const ofObject = byObjectAcl[operation];
  const isAboutAcl = operation === 'GetObjectAcl' || operation === 'PutObjectAcl';
  if (isOwner && !isAboutAcl) return 'allowed';
  const isMissing = object === 'missing' && looks.has(operation);
  if (!isMissing && allows(needed.slice(0, actions.needed.length))) return 'allowed';
  // Rights beyond the operation itself, such as to lock what is written, are not in ACLs.
  if (actions.needed.length > 1 && operation !== 'GetObjectAttributes') return 'denied';
  const grants = (acl: Acl, wanted: Permission): boolean => aclAllows(acl, wanted, user, block?.ignorePublicAcls === true);
  const ofBucket = byBucketAcl[operation];
  if (ofBucket && hasAcls(settings) && grants(bucketAcl(settings), ofBucket)) return 'allowed';
  if (!ofObject && !looks.has(operation)) return 'denied';
  if (object === undefined) return 'ask_object';
  if (object !== 'missing') {
    if (isAboutAcl && user?.id === object.acl.owner.id) return 'allowed';
    return ofObject && (hasAcls(settings) || isOwner) && grants(object.acl, ofObject) ? 'allowed' : 'denied';
  }
  return decide({
    ...question,
    operation: 'ListObjects',
    actions: { needed: ['s3:ListBucket'], implied: [], special: [] },
    key: '',
    object: undefined,
    // As a listing that would show just this key.
    context: (name) => (name === 's3:prefix' ? [key] : context(name)),
  });
}

/** True when one of the grants gives the user the permission. `isPublicIgnored`: those to everybody do not count. */
function aclAllows(acl: Acl, wanted: Permission, user: S3User | undefined, isPublicIgnored: boolean): boolean {
  return acl.grants.some(({ grantee, permission }) => {
    if (permission !== wanted && permission !== 'FULL_CONTROL') return false;
    if (grantee.kind === 'user') return user?.id === grantee.id;
    if (isPublicIgnored) return false;
    return grantee.group === 'all' || (grantee.group === 'authenticated' && user !== undefined);
  });
}
