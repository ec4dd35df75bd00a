/** A user in the words of S3: `id` is the canonical id, which is the user's id in this installation. */
export interface Owner {
  readonly id: string;
  readonly displayName: string;
}

/** Whoever declared the buckets that nobody made over S3: the installation itself. */
export const installation: Owner = { id: 'cellar', displayName: 'Cellar' };

/** Tags by name; at most 50 on a bucket, 10 on an object. */
export type Tags = Readonly<Record<string, string>>;

export type Permission = 'READ' | 'WRITE' | 'READ_ACP' | 'WRITE_ACP' | 'FULL_CONTROL';

/** `all` are also those who did not say who they are. */
export type Grantee =
  | { readonly kind: 'user'; readonly id: string; readonly displayName: string }
  | { readonly kind: 'group'; readonly group: 'all' | 'authenticated' | 'log_delivery' };

export interface Grant {
  readonly grantee: Grantee;
  readonly permission: Permission;
}

/** Who may do what, besides the owner. */
export interface Acl {
  readonly owner: Owner;
  readonly grants: readonly Grant[];
}

/** Until when, in milliseconds since 1970, a version cannot be deleted. */
export interface Retention {
  readonly mode: 'GOVERNANCE' | 'COMPLIANCE';
  readonly untilMs: number;
}

export interface ObjectLock {
  /** What new objects get when their writer says nothing. */
  readonly mode?: Retention['mode'];
  readonly days?: number;
  readonly years?: number;
}

export interface PublicAccessBlock {
  readonly blockPublicAcls: boolean;
  readonly ignorePublicAcls: boolean;
  readonly blockPublicPolicy: boolean;
  readonly restrictPublicBuckets: boolean;
}

export interface CorsRule {
  readonly id?: string;
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  readonly headers: readonly string[];
  readonly exposedHeaders: readonly string[];
  readonly maxAgeSeconds?: number;
}

/** Which objects a rule is about; all that is given has to hold. Sizes are bytes, both exclusive. */
export interface LifecycleFilter {
  readonly prefix?: string;
  readonly tags?: Tags;
  readonly sizeBytesAbove?: number;
  readonly sizeBytesBelow?: number;
}

/** Dates are milliseconds since 1970. */
export interface LifecycleRule {
  readonly id: string;
  readonly isEnabled: boolean;
  readonly filter: LifecycleFilter;
  /** True when the prefix was given outside of a filter, the way it was in older documents. */
  readonly hasPlainPrefix?: boolean;
  readonly expireAfterDays?: number;
  readonly expireAtMs?: number;
  readonly expiresDeleteMarkers?: boolean;
  readonly noncurrentExpireAfterDays?: number;
  readonly noncurrentVersionsKept?: number;
  readonly abortUploadsAfterDays?: number;
}

/** What happens to an object is told at `target`: an `http(s)` address, or the empty text for our own stream only. */
export interface NotificationRule {
  readonly id: string;
  readonly target: string;
  /** Such as `s3:ObjectCreated:*`. */
  readonly events: readonly string[];
  readonly prefix: string;
  readonly suffix: string;
}

/**
 * What is set for a whole bucket, each as its operation was told. It is kept as JSON, so fields are only ever added.
 * Absent: not set.
 */
export interface BucketSettings {
  readonly owner: Owner;
  readonly acl?: Acl;
  readonly ownership?: 'BucketOwnerEnforced' | 'BucketOwnerPreferred' | 'ObjectWriter';
  readonly publicAccessBlock?: PublicAccessBlock;
  /** The JSON text as it was put. */
  readonly policy?: string;
  readonly versioning?: 'Enabled' | 'Suspended';
  /** Set: the bucket has object lock, which stays for ever. */
  readonly objectLock?: ObjectLock;
  readonly cors?: readonly CorsRule[];
  readonly tags?: Tags;
  readonly lifecycle?: readonly LifecycleRule[];
  readonly notifications?: readonly NotificationRule[];
  readonly encryption?: { readonly algorithm: 'AES256' | 'aws:kms'; readonly keyId?: string; readonly usesBucketKey?: boolean };
  readonly requestPayer?: 'BucketOwner' | 'Requester';
}
