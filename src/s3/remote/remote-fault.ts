import type { IncomingHttpHeaders } from 'node:http';
import { Code, Fault, type FaultOptions } from '#kernel/fault.ts';
import { parseXml, XmlError } from '#lib/xml.ts';

/** An answer that is a refusal. */
export interface RemoteProblem {
  readonly endpoint: string;
  readonly bucket: string;
  readonly key: string;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** S3's word, such as `NoSuchKey`; empty when the answer has none. */
  readonly code: string;
  readonly message: string;
}

/** Code and message of an error document; of anything else, such as a proxy's page, nothing. */
export function shownBody(body: string): { readonly code: string; readonly message: string } {
  try {
    const error = parseXml(body, 'Error');
    return { code: error.value('Code') ?? '', message: error.value('Message') ?? '' };
  } catch (error) {
    if (error instanceof XmlError) return { code: '', message: '' };
    throw error;
  }
}

type Meaning = readonly [code: Code, reason: string, hint?: string];

const meanings: Readonly<Record<string, Meaning>> = {
  NoSuchKey: [Code.NotFound, 'no_such_key'],
  NoSuchVersion: [Code.NotFound, 'no_such_version'],
  NoSuchUpload: [Code.NotFound, 'no_such_upload'],
  // The datasource is there, and must not look empty because its storage is away.
  NoSuchBucket: [Code.Unavailable, 'remote_bucket_missing', 'Make the bucket there again, or remove the datasource.'],
  InvalidPart: [Code.InvalidArgument, 'invalid_part'],
  InvalidPartOrder: [Code.InvalidArgument, 'invalid_part_order'],
  EntityTooSmall: [Code.InvalidArgument, 'entity_too_small'],
  EntityTooLarge: [Code.InvalidArgument, 'entity_too_large'],
  KeyTooLongError: [Code.InvalidArgument, 'key_too_long'],
  BadDigest: [Code.InvalidArgument, 'wrong_checksum'],
  XAmzContentSHA256Mismatch: [Code.InvalidArgument, 'wrong_checksum'],
  PreconditionFailed: [Code.Aborted, 'changed_meanwhile', 'Read it again, then decide.'],
  ConditionalRequestConflict: [Code.Aborted, 'changed_meanwhile', 'Try again.'],
  AccessDenied: [Code.PermissionDenied, 'remote_denied', 'The access key needs more rights there.'],
  MethodNotAllowed: [Code.PermissionDenied, 'remote_denied'],
  InvalidObjectState: [Code.FailedPrecondition, 'remote_archived', 'Have it restored there first.'],
  InvalidAccessKeyId: [Code.Unavailable, 'remote_credentials', 'Correct the access key in the settings of the datasource.'],
  SignatureDoesNotMatch: [Code.Unavailable, 'remote_credentials', 'Correct the secret key in the settings of the datasource.'],
  AuthorizationHeaderMalformed: [Code.Unavailable, 'remote_credentials', 'Correct the region in the settings of the datasource.'],
  RequestTimeTooSkewed: [Code.Unavailable, 'remote_credentials', 'Set the clock of this machine.'],
  PermanentRedirect: [Code.Unavailable, 'remote_credentials', 'Correct the endpoint and the region in the settings.'],
  NotImplemented: [Code.Unimplemented, 'remote_unimplemented'],
  QuotaExceeded: [Code.ResourceExhausted, 'disk_full'],
  XMinioStorageFull: [Code.ResourceExhausted, 'disk_full'],
};

/** For answers without a document, as to HEAD. */
const byStatus: Readonly<Record<number, string>> = {
  301: 'PermanentRedirect',
  307: 'PermanentRedirect',
  400: 'AuthorizationHeaderMalformed',
  403: 'AccessDenied',
  404: 'NoSuchKey',
  405: 'MethodNotAllowed',
  409: 'ConditionalRequestConflict',
  412: 'PreconditionFailed',
  501: 'NotImplemented',
};

/** What another server's refusal means for those who asked us. */
export function remoteFault({ endpoint, bucket, key, status, headers, code, message }: RemoteProblem): Fault {
  // A HEAD of a bucket says no more than 404.
  const word = code || (status === 404 && key === '' ? 'NoSuchBucket' : (byStatus[status] ?? ''));
  const isBusy = status === 429 || status >= 500;
  const [kind, reason, hint]: Meaning =
    meanings[word] ?? (isBusy ? [Code.Unavailable, 'remote_unavailable'] : [Code.FailedPrecondition, 'remote_refused']);
  const what = key === '' ? `bucket "${bucket}"` : `${JSON.stringify(key)} of bucket "${bucket}"`;
  const why = message || code || `it answered ${status}`;
  const seconds = Number(headers['retry-after']);
  const options: FaultOptions = {
    reason,
    ...(hint ? { hint } : {}),
    ...(isBusy && seconds > 0 && seconds < 60 ? { retryAfterMs: seconds * 1000 } : {}),
  };
  return new Fault(kind, `${endpoint} refuses ${what}: ${why}`, options);
}
