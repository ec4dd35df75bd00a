import { type ByteRange, parseRange, rangeSizeBytes } from '#lib/byte-range.ts';
import { isSameForRange } from '#lib/http-conditions.ts';
import type { S3Answer } from '../answer.ts';
import type { ObjectInfo } from '../backend.ts';
import type { S3Call } from '../call.ts';
import { assertReadableWith, readCustomerKey, refuseEncryption } from '../encryption-headers.ts';
import { S3Error } from '../errors.ts';
import { assertReadable, checksumHeaders, describeObject, expirationHeader, readConditions } from '../object-headers.ts';
import { readError, readRef } from '../object-ref.ts';
import { partRange } from '../part-range.ts';

export async function getObject(call: S3Call): Promise<S3Answer> {
  const ref = readRef(call);
  refuseEncryption(call.headers);
  try {
    const customerKey = readCustomerKey(call.headers);
    const partNumber = call.query.get('partNumber');
    const select = (found: ObjectInfo): ByteRange | undefined => {
      // Which parts there are is known without the key.
      if (partNumber !== undefined) partRange(found, partNumber);
      assertReadableWith(customerKey, found.encryption);
      return selectRange(call, found);
    };
    const { info, range, body } = await call.backend.get(ref, select, { customerKey });
    return { ...objectHead(call, info, range), content: body };
  } catch (error) {
    throw readError(error, ref);
  }
}

/** Decides conditions and range against the object that was opened. Errors: `NotModified`, `PreconditionFailed`, `InvalidRange`. */
export function selectRange({ headers, query }: S3Call, info: ObjectInfo): ByteRange | undefined {
  assertReadable(readConditions(headers), info);
  const ifRange = headers.get('if-range');
  const header = ifRange === undefined || isSameForRange(ifRange, info) ? headers.get('range') : undefined;
  const partNumber = query.get('partNumber');
  if (partNumber !== undefined) {
    if (header !== undefined)
      throw new S3Error('InvalidRequest', 'Cannot specify both Range header and partNumber query parameter');
    return partRange(info, partNumber).range;
  }
  const range = parseRange(header, info.sizeBytes);
  if (range !== 'unsatisfiable') return range;
  throw new S3Error('InvalidRange', undefined, {
    fields: { RangeRequested: header ?? '', ActualObjectSize: String(info.sizeBytes) },
    headers: { 'content-range': `bytes */${info.sizeBytes}` },
  });
}

/** Status and headers of GET and HEAD. Checksums are sent for what they were made of: the whole object, or one part. */
export function objectHead(call: S3Call, info: ObjectInfo, range: ByteRange | undefined): S3Answer {
  const headers = describeObject(info, call);
  headers['content-length'] = range ? rangeSizeBytes(range) : info.sizeBytes;
  if (range) headers['content-range'] = `bytes ${range.first}-${range.last}/${info.sizeBytes}`;
  if (call.settings.lifecycle && !call.query.has('versionId')) Object.assign(headers, expirationHeader(info, call.settings));
  const partNumber = call.query.get('partNumber');
  if (partNumber !== undefined && info.parts) headers['x-amz-mp-parts-count'] = info.parts.length;
  if (call.headers.get('x-amz-checksum-mode')?.toUpperCase() === 'ENABLED') {
    const whole = checksumHeaders(info.checksums);
    if (partNumber === undefined) Object.assign(headers, range ? {} : whole);
    // Of a part the checksum is its own, and what is said of its kind is about the object.
    else Object.assign(headers, checksumHeaders(partRange(info, partNumber).checksums), typeOnly(whole));
  }
  return { status: range || partNumber !== undefined ? 206 : 200, headers };
}

const typeOnly = ({ 'x-amz-checksum-type': type }: Record<string, string>): Record<string, string> =>
  type === undefined ? {} : { 'x-amz-checksum-type': type };
