import { Fault } from '#kernel/fault.ts';
import { formatHttpDate } from '#lib/http-date.ts';
import type { ObjectRef } from './backend.ts';
import type { S3Call } from './call.ts';
import { S3Error } from './errors.ts';

/** The object of a request, or the version of it that `versionId` names. Errors: `InvalidArgument` for an empty version. */
export function readRef({ bucket, key, query }: Pick<S3Call, 'bucket' | 'key' | 'query'>): ObjectRef {
  const versionId = query.get('versionId');
  if (versionId === '') {
    throw new S3Error('InvalidArgument', 'Version id cannot be the empty string', {
      fields: { ArgumentName: 'versionId', ArgumentValue: '' },
    });
  }
  return { bucket, key, versionId };
}

/**
 * A failure to read `ref` in the words of S3: a delete marker is a missing object, unless it was asked for by its version, when only
 * deleting it makes sense.
 */
export function readError(error: unknown, ref: ObjectRef): unknown {
  if (!(error instanceof Fault)) return error;
  if (error.reason === 'no_such_key')
    return new S3Error('NoSuchKey', undefined, {
      cause: error,
      headers: { 'x-amz-delete-marker': 'false' },
      fields: { Key: ref.key },
    });
  if (error.reason !== 'delete_marker') return error;
  const { versionId, lastModifiedMs } = error.details;
  const headers = { 'x-amz-delete-marker': 'true', ...(versionId === undefined ? {} : { 'x-amz-version-id': versionId }) };
  if (ref.versionId === undefined) return new S3Error('NoSuchKey', undefined, { headers, fields: { Key: ref.key } });
  const modified = lastModifiedMs === undefined ? {} : { 'last-modified': formatHttpDate(Number(lastModifiedMs)) };
  return new S3Error('MethodNotAllowed', undefined, {
    headers: { ...headers, ...modified, allow: 'DELETE' },
    fields: { Method: 'GET' },
  });
}
