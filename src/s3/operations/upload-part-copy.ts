import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { parseCopyRange, readCopySource, sourceCondition } from '../copy-source.ts';
import { checksumElements, quoteEtag } from '../object-headers.ts';
import { storedBody } from '../stored-body.ts';
import { readPartNumber, readUploadName } from '../upload-name.ts';
import { isoTime, result } from '../xml-result.ts';

export async function uploadPartCopy(call: S3Call): Promise<S3Answer> {
  const { backend, headers } = call;
  const partNumber = readPartNumber(call);
  const upload = readUploadName(call);
  const source = await readCopySource(call);
  const { checksum } = await backend.headUpload(upload);
  const assertSource = sourceCondition(call);
  const content = await backend.get(source, (info) => {
    assertSource(info);
    return parseCopyRange(headers.get('x-amz-copy-source-range'), info.sizeBytes);
  });
  await using body = storedBody(content, checksum?.algorithm);
  const part = await backend.putPart(upload, partNumber, body);
  return {
    content: result('CopyPartResult', [
      xml('LastModified', isoTime(part.mtimeMs)),
      xml('ETag', quoteEtag(part.etag)),
      ...checksumElements(part.checksums),
    ]),
  };
}
