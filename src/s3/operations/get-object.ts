import { type ByteRange, parseRange, rangeSizeBytes } from '#lib/byte-range.ts';
import type { S3Answer } from '../answer.ts';
import type { ObjectInfo } from '../backend.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { assertReadable, checksumHeaders, describeObject, readConditions } from '../object-headers.ts';

export async function getObject(call: S3Call): Promise<S3Answer> {
  const { info, range, body } = await call.backend.get(call, (found) => selectRange(call, found));
  return { ...objectHead(call, info, range), content: body };
}

/** Decides conditions and range against the object that was opened. Errors: `NotModified`, `PreconditionFailed`, `InvalidRange`. */
export function selectRange({ headers }: S3Call, info: ObjectInfo): ByteRange | undefined {
  assertReadable(readConditions(headers), info);
  const header = headers.get('range');
  const range = parseRange(header, info.sizeBytes);
  if (range !== 'unsatisfiable') return range;
  throw new S3Error('InvalidRange', undefined, {
    fields: { RangeRequested: header ?? '', ActualObjectSize: String(info.sizeBytes) },
    headers: { 'content-range': `bytes */${info.sizeBytes}` },
  });
}

/** Status and headers of GET and HEAD. Checksums are sent for whole objects only, since a part would not match them. */
export function objectHead(call: S3Call, info: ObjectInfo, range: ByteRange | undefined): S3Answer {
  const wantsChecksum = call.headers.get('x-amz-checksum-mode')?.toUpperCase() === 'ENABLED' && range === undefined;
  return {
    status: range ? 206 : 200,
    headers: {
      ...describeObject(info, call),
      ...(wantsChecksum ? checksumHeaders(info.checksums) : {}),
      'content-length': range ? rangeSizeBytes(range) : info.sizeBytes,
      'content-range': range && `bytes ${range.first}-${range.last}/${info.sizeBytes}`,
    },
  };
}
