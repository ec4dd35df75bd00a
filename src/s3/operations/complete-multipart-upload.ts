import { checksumAlgorithms } from '#lib/checksum.ts';
import { type XmlNode, xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { CompletedPart } from '../backend.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { checksumElementName, checksumElements, checksumHeaders, quoteEtag, readWriteCondition } from '../object-headers.ts';
import { readUploadName } from '../upload-name.ts';
import { result } from '../xml-result.ts';

const partsMax = 10_000;

export async function completeMultipartUpload(call: S3Call): Promise<S3Answer> {
  const { backend, bucket, key, headers } = call;
  const document = await call.xml('CompleteMultipartUpload');
  const parts = document.all('Part').map(readPart);
  if (parts.length === 0 || parts.length > partsMax) throw new S3Error('MalformedXML');
  if (parts.some((part, index) => index > 0 && part.partNumber <= parts[index - 1]!.partNumber))
    throw new S3Error('InvalidPartOrder');
  const info = await backend.completeUpload(readUploadName(call), parts, { condition: readWriteCondition(call) });
  return {
    content: result('CompleteMultipartUploadResult', [
      xml('Location', `http://${headers.get('host') ?? ''}${encodeURI(`/${bucket}/${key}`)}`),
      xml('Bucket', bucket),
      xml('Key', key),
      xml('ETag', quoteEtag(info.etag)),
      ...checksumElements(info.checksums),
      xml('ChecksumType', checksumHeaders(info.checksums)['x-amz-checksum-type']),
    ]),
  };
}

function readPart(node: XmlNode): CompletedPart {
  const [partNumber, etag] = [node.value('PartNumber')?.trim() ?? '', node.value('ETag')?.trim()];
  if (!/^\d{1,5}$/.test(partNumber) || etag === undefined) throw new S3Error('MalformedXML');
  const checksums = checksumAlgorithms.flatMap((algorithm) => {
    const value = node.value(checksumElementName(algorithm))?.trim();
    return value ? [[algorithm, value] as const] : [];
  });
  return { partNumber: Number(partNumber), etag: etag.replace(/^"(.*)"$/, '$1'), checksums: Object.fromEntries(checksums) };
}
