import type { ChecksumAlgorithm } from '#lib/checksum.ts';
import type { Scope } from '#lib/sigv4.ts';
import type { XmlNode } from '#lib/xml.ts';
import type { Users } from './access/acl.ts';
import type { S3Answer } from './answer.ts';
import type { Backend, BucketInfo, ObjectBody } from './backend.ts';
import type { BucketSettings, Owner, Tags } from './bucket-settings.ts';
import type { OperationName } from './operation-names.ts';

/** Who asks, in the words of S3; absent in a call: somebody who did not say. */
export interface S3User extends Owner {
  /** The platform's policies let this user manage every bucket, whoever owns it. */
  readonly isAdministrator?: boolean;
}

/** One authenticated and authorised request, as an operation sees it. */
export interface S3Call {
  readonly backend: Backend;
  readonly bucket: string;
  readonly key: string;
  readonly user?: S3User | undefined;
  /** Finds those an ACL speaks of. */
  readonly users: Users;
  /** Of the bucket, as they were when the request was let in; of nothing where there is no bucket yet. */
  readonly settings: BucketSettings;
  readonly query: ReadonlyMap<string, string>;
  /** Lower-case names. */
  readonly headers: ReadonlyMap<string, string>;
  readonly region: string;
  readonly limits: S3Limits;
  /** When the request came. Unit: milliseconds since 1970. */
  readonly nowMs: number;
  /** The body, checked while it is read; call it at most once. `algorithm`: the checksum to make when the sender chose none. */
  body(algorithm?: ChecksumAlgorithm): ObjectBody;
  /** The body as a small XML document. `isAboutObject`: checksums in the headers are not those of the document. Errors: `MalformedXML`. */
  xml(rootName: string, isAboutObject?: boolean): Promise<XmlNode>;
  /** Throws `AccessDenied` when the caller may not do this as well. Name the version when the request names one. */
  authorize(operation: OperationName, bucket: string, key: string | undefined, more?: AuthorizeMore): Promise<void>;
  /** Is this bucket told to the caller when they ask which there are? It is theirs, or the platform's policies open it to them. */
  sees(bucket: BucketInfo): Promise<boolean>;
  /** The request as the fields of a form in its body make it, once whoever they name was let in. Errors: as those of a signed request. */
  form(form: FormRequest): Promise<S3Call>;
  /** The body as it comes; call it at most once, and none of the others then. */
  raw(): AsyncIterable<Uint8Array>;
}

export interface AuthorizeMore {
  readonly versionId?: string | undefined;
  /** Tags the request wants to put, where they are not in its header. */
  readonly tags?: Tags;
}

/** What a browser's form asks for. */
export interface FormRequest {
  readonly key: string;
  /** Its fields, as the headers they stand for. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: (algorithm?: ChecksumAlgorithm) => ObjectBody;
  /** Called when it is known who signed it and before they are let in; throws when it is not what they signed. */
  readonly check: () => void;
  /** Who signed its policy; absent: nobody. */
  readonly signed?: FormSignature | undefined;
}

export interface FormSignature {
  readonly accessKey: string;
  /** `AWS4-HMAC-SHA256` or, for the old one, `AWS`. */
  readonly version: string;
  /** Absent: nothing says when. */
  readonly timeMs?: number;
  /** Where the signature is good; the old kind is good everywhere. */
  readonly scope?: Scope;
  readonly isValid: (secret: string) => boolean;
}

export interface S3Limits {
  /** One PUT or part. */
  readonly bodySizeBytesMax: number;
  readonly xmlSizeBytesMax: number;
  readonly keySizeBytesMax: number;
  readonly userMetadataSizeBytesMax: number;
}

/** Source: S3, "Multipart upload limits" and "Working with object metadata". */
export const defaultLimits: S3Limits = {
  bodySizeBytesMax: 5 * 1024 ** 3,
  xmlSizeBytesMax: 4 * 1024 ** 2,
  keySizeBytesMax: 1_024,
  userMetadataSizeBytesMax: 2_048,
};

export type Operation = (call: S3Call) => Promise<S3Answer>;
