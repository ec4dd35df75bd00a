import { type Code, Fault } from '#kernel/fault.ts';

/** Every error code we answer with, its HTTP status and what it says when nothing more exact is known. Source: S3 API, "Error responses". */
const table = {
  AccessControlListNotSupported: [400, 'The bucket does not allow ACLs'],
  AccessDenied: [403, 'Access Denied'],
  AccessForbidden: [403, 'CORSResponse: This CORS request is not allowed'],
  AuthorizationHeaderMalformed: [400, 'The authorization header is malformed'],
  AuthorizationQueryParametersError: [400, 'The authorization query parameters are malformed'],
  BadDigest: [400, 'The Content-MD5 or checksum value you specified did not match what we received'],
  BadRequest: [400, 'Bad Request'],
  BucketAlreadyExists: [409, 'The requested bucket name is not available: somebody else has it'],
  BucketAlreadyOwnedByYou: [409, 'The bucket already exists and is yours'],
  BucketNotEmpty: [409, 'The bucket you tried to delete is not empty'],
  EntityTooLarge: [400, 'Your proposed upload exceeds the maximum allowed size'],
  EntityTooSmall: [400, 'Your proposed upload is smaller than the minimum allowed size'],
  ExpiredToken: [400, 'The provided token has expired'],
  IllegalLocationConstraintException: [400, 'The specified location constraint is not that of this region'],
  IllegalVersioningConfigurationException: [400, 'The versioning configuration specified in the request is invalid'],
  IncompleteBody: [400, 'You did not provide the number of bytes specified by the Content-Length HTTP header'],
  InternalError: [500, 'We encountered an internal error. Please try again.'],
  InvalidAccessKeyId: [403, 'The access key id you provided does not exist in our records'],
  InvalidArgument: [400, 'Invalid argument'],
  InvalidBucketAclWithObjectOwnership: [400, 'Bucket cannot have ACLs set with its ObjectOwnership setting'],
  InvalidBucketName: [400, 'The specified bucket is not valid'],
  InvalidBucketState: [409, 'The request is not valid for the current state of the bucket'],
  InvalidDigest: [400, 'The Content-MD5 you specified is not valid'],
  InvalidEncryptionAlgorithmError: [
    400,
    'The encryption request you specified is not valid. The valid values are AES256 and aws:kms.',
  ],
  InvalidLocationConstraint: [400, 'The specified location constraint is not valid'],
  InvalidObjectState: [403, 'The operation is not valid for the current state of the object'],
  InvalidPart: [400, 'One or more of the specified parts could not be found or its entity tag did not match'],
  InvalidPartOrder: [400, 'The list of parts was not in ascending order'],
  InvalidPolicyDocument: [400, 'The content of the form does not meet the conditions of its policy'],
  InvalidRange: [416, 'The requested range is not satisfiable'],
  InvalidRequest: [400, 'Invalid request'],
  InvalidRetentionPeriod: [400, 'The retention period must be a positive number'],
  InvalidStorageClass: [400, 'The storage class you specified is not valid'],
  InvalidTag: [400, 'The tag provided was not a valid tag'],
  InvalidToken: [400, 'The provided token is malformed or otherwise invalid'],
  InvalidURI: [400, 'The specified URI could not be parsed'],
  'KMS.NotFoundException': [400, 'There is no such key to encrypt with'],
  KeyTooLongError: [400, 'Your key is too long'],
  MalformedACLError: [400, 'The ACL you provided was not well-formed or did not validate against our published schema'],
  MalformedPOSTRequest: [400, 'The body of your POST request is not well-formed multipart/form-data'],
  MalformedPolicy: [400, 'The policy is not well-formed'],
  MalformedTrailerError: [400, 'The request contained trailing data that was not well-formed'],
  MalformedXML: [400, 'The XML you provided was not well-formed or did not validate against our published schema'],
  MetadataTooLarge: [400, 'Your metadata headers exceed the maximum allowed metadata size'],
  MethodNotAllowed: [405, 'The specified method is not allowed against this resource'],
  MissingContentLength: [411, 'You must provide the Content-Length HTTP header'],
  NoSuchBucket: [404, 'The specified bucket does not exist'],
  NoSuchBucketPolicy: [404, 'The bucket policy does not exist'],
  NoSuchCORSConfiguration: [404, 'The CORS configuration does not exist'],
  NoSuchKey: [404, 'The specified key does not exist'],
  NoSuchLifecycleConfiguration: [404, 'The lifecycle configuration does not exist'],
  NoSuchObjectLockConfiguration: [404, 'The specified object does not have an object lock configuration'],
  NoSuchPublicAccessBlockConfiguration: [404, 'The public access block configuration was not found'],
  NoSuchTagSet: [404, 'The tag set does not exist'],
  NoSuchUpload: [404, 'The specified upload does not exist. It may have been aborted or completed.'],
  NoSuchVersion: [404, 'The specified version does not exist'],
  NoSuchWebsiteConfiguration: [404, 'The specified bucket does not have a website configuration'],
  NotImplemented: [501, 'A header or query you provided asks for something that is not implemented'],
  NotModified: [304, 'Not Modified'],
  ObjectLockConfigurationNotFoundError: [404, 'Object lock configuration does not exist for this bucket'],
  OperationAborted: [409, 'A conflicting operation is in progress against this resource. Try again.'],
  OwnershipControlsNotFoundError: [404, 'The bucket ownership controls were not found'],
  PreconditionFailed: [412, 'At least one of the preconditions you specified did not hold'],
  ReplicationConfigurationNotFoundError: [404, 'The replication configuration was not found'],
  RequestTimeTooSkewed: [403, 'The difference between the request time and the current time is too large'],
  RequestTimeout: [400, 'Your request was not finished in time'],
  ServerSideEncryptionConfigurationNotFoundError: [404, 'The server side encryption configuration was not found'],
  ServiceUnavailable: [503, 'Service is unable to handle the request. Please try again.'],
  SignatureDoesNotMatch: [
    403,
    'The request signature we calculated does not match the signature you provided. Check your secret key and signing method.',
  ],
  SlowDown: [503, 'Please reduce your request rate'],
  UnresolvableGrantByEmailAddress: [400, 'The e-mail address you provided does not match any account on record'],
  XAmzContentSHA256Mismatch: [400, 'The provided x-amz-content-sha256 does not match what was computed'],
} as const satisfies Readonly<Record<string, readonly [status: number, message: string]>>;

export type S3Code = keyof typeof table;

/** A failure in the words of S3. `fields` become elements of the answer's XML, `headers` its headers. */
export class S3Error extends Error {
  readonly code: S3Code;
  readonly status: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: S3Code, message: string = table[code][1], options: S3ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'S3Error';
    this.code = code;
    this.status = table[code][0];
    this.fields = options.fields ?? {};
    this.headers = options.headers ?? {};
  }

  /** Any failure in the words of S3. What is not known becomes `InternalError`, with the cause kept for the log. */
  static from(error: unknown): S3Error {
    if (error instanceof S3Error) return error;
    const fault = Fault.from(error);
    const code = byReason[fault.reason] ?? byCode[fault.code];
    const message = code === 'InternalError' ? undefined : fault.hint ? `${fault.message}. ${fault.hint}` : fault.message;
    const headers = fault.retryAfterMs === undefined ? {} : { 'retry-after': String(Math.ceil(fault.retryAfterMs / 1_000)) };
    return new S3Error(code, message, { cause: error, headers });
  }
}

export interface S3ErrorOptions {
  readonly fields?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** The reasons a `Backend` gives, and the code each is answered with. */
const byReason: Readonly<Record<string, S3Code>> = {
  no_such_bucket: 'NoSuchBucket',
  no_such_key: 'NoSuchKey',
  no_such_version: 'NoSuchVersion',
  delete_marker: 'NoSuchKey',
  no_such_upload: 'NoSuchUpload',
  bucket_exists: 'BucketAlreadyExists',
  bucket_not_empty: 'BucketNotEmpty',
  customer_key_missing: 'InvalidRequest',
  customer_key_wrong: 'InvalidRequest',
  no_such_kms_key: 'KMS.NotFoundException',
  wrong_checksum: 'BadDigest',
  wrong_size: 'InvalidRequest',
  invalid_part: 'InvalidPart',
  invalid_part_order: 'InvalidPartOrder',
  entity_too_small: 'EntityTooSmall',
  entity_too_large: 'EntityTooLarge',
  invalid_key: 'InvalidArgument',
  key_too_long: 'KeyTooLongError',
  key_conflict: 'InvalidArgument',
  read_only: 'AccessDenied',
  disk_full: 'ServiceUnavailable',
};

const byCode: Readonly<Record<Code, S3Code>> = {
  canceled: 'RequestTimeout',
  unknown: 'InternalError',
  invalid_argument: 'InvalidArgument',
  deadline_exceeded: 'ServiceUnavailable',
  not_found: 'NoSuchKey',
  already_exists: 'OperationAborted',
  permission_denied: 'AccessDenied',
  resource_exhausted: 'SlowDown',
  failed_precondition: 'InvalidRequest',
  aborted: 'OperationAborted',
  out_of_range: 'InvalidRange',
  unimplemented: 'NotImplemented',
  internal: 'InternalError',
  unavailable: 'ServiceUnavailable',
  data_loss: 'InternalError',
  unauthenticated: 'AccessDenied',
};
