import type { ChecksumAlgorithm } from '#lib/checksum.ts';
import type { XmlNode } from '#lib/xml.ts';
import type { S3Answer } from './answer.ts';
import type { Backend, ObjectBody } from './backend.ts';
import type { Owner } from './bucket-settings.ts';
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
  /** Throws `AccessDenied` when the caller may not do this as well. */
  authorize(operation: OperationName, bucket: string, key: string | undefined): Promise<void>;
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
