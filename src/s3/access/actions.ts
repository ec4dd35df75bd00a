import type { OperationName } from '../operation-names.ts';

/** What decides which actions an operation is: the operation itself, the version it names, and its headers. */
export interface ActionRequest {
  readonly operation: OperationName;
  /** Absent: the current one. */
  readonly versionId?: string | undefined;
  readonly headers: ReadonlyMap<string, string>;
}

export interface Actions {
  /** What has to be allowed, such as `s3:GetObject`; all of them. */
  readonly needed: readonly string[];
  /** What comes with it and must not be denied, such as `s3:PutObjectTagging` of a write with tags. */
  readonly implied: readonly string[];
  /** What a right to write does not include: the owner of the bucket has it, or somebody a policy of the bucket gives it to. */
  readonly special: readonly string[];
}

/** Operations whose action has another name. Source: "Actions, resources, and condition keys for Amazon S3". */
const renamed: Partial<Readonly<Record<OperationName, string>>> = {
  ListBuckets: 'ListAllMyBuckets',
  HeadBucket: 'ListBucket',
  ListObjects: 'ListBucket',
  ListObjectsV2: 'ListBucket',
  ListObjectVersions: 'ListBucketVersions',
  ListMultipartUploads: 'ListBucketMultipartUploads',
  ListParts: 'ListMultipartUploadParts',
  DeleteObjects: 'DeleteObject',
  HeadObject: 'GetObject',
  CopyObject: 'PutObject',
  PostObject: 'PutObject',
  CreateMultipartUpload: 'PutObject',
  UploadPart: 'PutObject',
  UploadPartCopy: 'PutObject',
  CompleteMultipartUpload: 'PutObject',
  GetBucketAccelerateConfiguration: 'GetAccelerateConfiguration',
  GetBucketCors: 'GetBucketCORS',
  PutBucketCors: 'PutBucketCORS',
  DeleteBucketCors: 'PutBucketCORS',
  GetBucketEncryption: 'GetEncryptionConfiguration',
  PutBucketEncryption: 'PutEncryptionConfiguration',
  DeleteBucketEncryption: 'PutEncryptionConfiguration',
  GetBucketLifecycleConfiguration: 'GetLifecycleConfiguration',
  PutBucketLifecycleConfiguration: 'PutLifecycleConfiguration',
  DeleteBucketLifecycle: 'PutLifecycleConfiguration',
  GetBucketNotificationConfiguration: 'GetBucketNotification',
  PutBucketNotificationConfiguration: 'PutBucketNotification',
  DeleteBucketOwnershipControls: 'PutBucketOwnershipControls',
  GetBucketReplication: 'GetReplicationConfiguration',
  DeleteBucketTagging: 'PutBucketTagging',
  GetObjectLockConfiguration: 'GetBucketObjectLockConfiguration',
  PutObjectLockConfiguration: 'PutBucketObjectLockConfiguration',
  GetPublicAccessBlock: 'GetBucketPublicAccessBlock',
  PutPublicAccessBlock: 'PutBucketPublicAccessBlock',
  DeletePublicAccessBlock: 'PutBucketPublicAccessBlock',
};

/** Actions that have a sister for requests that name a version. */
const versioned: Readonly<Record<string, string>> = {
  GetObject: 'GetObjectVersion',
  GetObjectAcl: 'GetObjectVersionAcl',
  GetObjectAttributes: 'GetObjectVersionAttributes',
  GetObjectTagging: 'GetObjectVersionTagging',
  PutObjectAcl: 'PutObjectVersionAcl',
  PutObjectTagging: 'PutObjectVersionTagging',
  DeleteObject: 'DeleteObjectVersion',
  DeleteObjectTagging: 'DeleteObjectVersionTagging',
};

/** Actions that no operation of ours is but that people write into policies, since other servers have them. */
const foreign =
  'AssociateAccessGrantsIdentityCenter BypassGovernanceRetention CreateAccessPoint DeleteAccessPoint DeleteBucketWebsite GetAccountPublicAccessBlock ' +
  'GetAnalyticsConfiguration GetBucketLogging GetIntelligentTieringConfiguration GetInventoryConfiguration GetMetricsConfiguration ' +
  'GetObjectTorrent GetObjectVersionForReplication GetObjectVersionTorrent InitiateReplication ListAccessPoints ObjectOwnerOverrideToBucketOwner ' +
  'PutAccelerateConfiguration PutAnalyticsConfiguration PutBucketLogging PutBucketWebsite PutIntelligentTieringConfiguration ' +
  'PutInventoryConfiguration PutMetricsConfiguration PutReplicationConfiguration ReplicateDelete ReplicateObject ReplicateTags RestoreObject ' +
  'UpdateObjectEncryption';

const plainAction = (operation: OperationName): string => renamed[operation] ?? operation;

/** Every action a policy may speak of, in lower case with its `s3:`. */
export const knownActions = (operations: readonly OperationName[]): ReadonlySet<string> =>
  new Set(
    [...operations.map(plainAction), ...Object.values(versioned), ...foreign.split(' ')].map((name) =>
      `s3:${name}`.toLowerCase(),
    ),
  );

const writes: ReadonlySet<OperationName> = new Set(['PutObject', 'CopyObject', 'CreateMultipartUpload', 'PostObject']);
const bypasses: ReadonlySet<OperationName> = new Set(['DeleteObject', 'PutObjectRetention']);

/** Which actions a request is, for policies of buckets. One table for all operations. */
export function actionsOf({ operation, versionId, headers }: ActionRequest): Actions {
  const plain = plainAction(operation);
  const named = (action: string): string => `s3:${(versionId !== undefined && versioned[action]) || action}`;
  const needed = [named(plain), ...(operation === 'GetObjectAttributes' ? [named('GetObject')] : [])];
  const implied: string[] = [];
  const special: string[] = [];
  if (writes.has(operation)) {
    for (const name of headers.keys()) {
      if (name === 'x-amz-acl' || name.startsWith('x-amz-grant-')) implied.push('s3:PutObjectAcl');
      else if (name === 'x-amz-tagging') implied.push('s3:PutObjectTagging');
      else if (name === 'x-amz-object-lock-mode' || name === 'x-amz-object-lock-retain-until-date')
        needed.push('s3:PutObjectRetention');
      else if (name === 'x-amz-object-lock-legal-hold') needed.push('s3:PutObjectLegalHold');
    }
  }
  // The source of a copy gives its tags away, unless the copy gets tags of its own.
  const isSource = operation === 'GetObject' && headers.has('x-amz-copy-source');
  if (isSource && headers.get('x-amz-tagging-directive') !== 'REPLACE') implied.push(named('GetObjectTagging'));
  const isBypass = bypasses.has(operation) && headers.get('x-amz-bypass-governance-retention')?.toLowerCase() === 'true';
  if (isBypass) special.push('s3:BypassGovernanceRetention');
  return { needed, implied, special };
}
