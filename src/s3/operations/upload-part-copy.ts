import { isoTime } from '#lib/iso-time.ts';
import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { parseCopyRange, readCopySource, sourceCondition, sourceError } from '../copy-source.ts';
import { encryptionHeaders, readCustomerKey } from '../encryption-headers.ts';
import { checksumElements, quoteEtag } from '../object-headers.ts';
import { partKey } from '../part-upload.ts';
import { storedBody } from '../stored-body.ts';
import { readPartNumber, readUploadName } from '../upload-name.ts';
import { result } from '../xml-result.ts';

export async function uploadPartCopy(call: S3Call): Promise<S3Answer> {
  const { backend, headers } = call;
  const partNumber = readPartNumber(call);
  const upload = readUploadName(call);
  const source = await readCopySource(call);
  const { checksum, encryption } = await backend.headUpload(upload);
  const customerKey = partKey(headers, encryption);
  const assertSource = sourceCondition(call);
  const content = await backend
    .get(
      source,
      (info) => {
        assertSource(info);
        return parseCopyRange(headers.get('x-amz-copy-source-range'), info.sizeBytes);
      },
      { customerKey: readCustomerKey(headers, true) },
    )
    .catch((error: unknown) => {
      throw sourceError(error, source);
    });
  await using body = storedBody(content, checksum?.algorithm);
  const part = await backend.putPart(upload, partNumber, body, { customerKey });
  return {
    headers: { 'x-amz-copy-source-version-id': content.info.versionId, ...encryptionHeaders(encryption) },
    content: result('CopyPartResult', [
      xml('LastModified', isoTime(part.mtimeMs)),
      xml('ETag', quoteEtag(part.etag)),
      ...checksumElements(part.checksums),
    ]),
  };
}
