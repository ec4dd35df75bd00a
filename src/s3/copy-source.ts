import { type ByteRange, rangeSizeBytes } from '#lib/byte-range.ts';
import type { ObjectInfo, ObjectRef } from './backend.ts';
import type { S3Call } from './call.ts';
import { S3Error } from './errors.ts';
import { assertReadable, readConditions } from './object-headers.ts';
import { readError } from './object-ref.ts';

/** The source of a copy, once the caller was found to have the right to read it. */
export async function readCopySource(call: S3Call): Promise<ObjectRef> {
  const source = parseCopySource(call.headers.get('x-amz-copy-source') ?? '');
  await call.authorize('GetObject', source.bucket, source.key, { versionId: source.versionId });
  const expected = call.headers.get('x-amz-source-expected-bucket-owner');
  if (expected !== undefined && (await call.backend.headBucket(source.bucket)).owner.id !== expected)
    throw new S3Error('AccessDenied');
  return source;
}

/** Shape: `bucket/key` or `/bucket/key`, percent-encoded, and perhaps `?versionId=`. */
export function parseCopySource(header: string): ObjectRef {
  const invalid = new S3Error('InvalidArgument', 'Copy Source must mention the source bucket and key: sourcebucket/sourcekey', {
    fields: { ArgumentName: 'x-amz-copy-source', ArgumentValue: header },
  });
  const [path, versionId] = header.split('?versionId=');
  if (versionId === '') throw invalid;
  let decoded: string;
  try {
    decoded = decodeURIComponent(path ?? '').replace(/^\//, '');
  } catch {
    throw invalid;
  }
  const slash = decoded.indexOf('/');
  if (slash < 1 || slash === decoded.length - 1) throw invalid;
  return { bucket: decoded.slice(0, slash), key: decoded.slice(slash + 1), versionId };
}

/** `x-amz-copy-source-if-*`: a source that was not modified counts as failed here. */
export function sourceCondition(call: S3Call): (source: ObjectInfo) => void {
  const conditions = readConditions(call.headers, 'x-amz-copy-source-');
  return (source) => {
    try {
      assertReadable(conditions, source);
    } catch (error) {
      throw error instanceof S3Error && error.code === 'NotModified' ? new S3Error('PreconditionFailed') : error;
    }
  };
}

/** A failure to read the source in the words of S3: a delete marker that was named cannot be copied. */
export function sourceError(error: unknown, source: ObjectRef): unknown {
  const told = readError(error, source);
  return told instanceof S3Error && told.code === 'MethodNotAllowed'
    ? new S3Error('InvalidRequest', 'The source of a copy request may not specifically refer to a delete marker by version id.')
    : told;
}

/** `x-amz-copy-source-range`, which unlike `Range` must lie inside the source. */
export function parseCopyRange(header: string | undefined, sizeBytes: number): ByteRange | undefined {
  if (header === undefined) return undefined;
  const match = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(header);
  const range = { first: Number(match?.[1]), last: Number(match?.[2]) };
  if (!match || rangeSizeBytes(range) < 1) {
    throw new S3Error('InvalidArgument', 'The x-amz-copy-source-range value must be of the form bytes=first-last');
  }
  if (range.last >= sizeBytes)
    throw new S3Error('InvalidRange', `Range specified is not valid for source object of size: ${sizeBytes}`);
  return range;
}
