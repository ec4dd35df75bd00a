import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { encryptionHeaders } from '../encryption-headers.ts';
import { checksumHeaders, quoteEtag } from '../object-headers.ts';
import { assertPartChecksum, partKey } from '../part-upload.ts';
import { readPartNumber, readUploadName } from '../upload-name.ts';

export async function uploadPart(call: S3Call): Promise<S3Answer> {
  const { backend } = call;
  const partNumber = readPartNumber(call);
  const upload = readUploadName(call);
  const { checksum, encryption } = await backend.headUpload(upload);
  assertPartChecksum(call.headers, checksum?.algorithm);
  const customerKey = partKey(call.headers, encryption);
  const part = await backend.putPart(upload, partNumber, call.body(checksum?.algorithm), { customerKey });
  const { 'x-amz-checksum-type': _, ...checksums } = checksumHeaders(part.checksums);
  return { headers: { etag: quoteEtag(part.etag), ...checksums, ...encryptionHeaders(encryption) } };
}
