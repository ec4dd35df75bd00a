import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { checksumHeaders, quoteEtag } from '../object-headers.ts';
import { readPartNumber, readUploadName } from '../upload-name.ts';

export async function uploadPart(call: S3Call): Promise<S3Answer> {
  const part = await call.backend.putPart(readUploadName(call), readPartNumber(call), call.body());
  const { 'x-amz-checksum-type': _, ...checksums } = checksumHeaders(part.checksums);
  return { headers: { etag: quoteEtag(part.etag), ...checksums } };
}
