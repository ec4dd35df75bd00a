import { isoTime } from '#lib/iso-time.ts';
import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { readCount, readListParameters } from '../list-query.ts';
import { checksumElements, quoteEtag } from '../object-headers.ts';
import { readUploadName } from '../upload-name.ts';
import { ownerElement, result } from '../xml-result.ts';

export async function listParts(call: S3Call): Promise<S3Answer> {
  const { backend, bucket, key, query } = call;
  const { limit, encode, encodingType } = readListParameters(query, 'max-parts');
  const marker = readCount(query, 'part-number-marker') ?? 0;
  const upload = readUploadName(call);
  const { owner } = call.settings;
  const info = await backend.headUpload(upload);
  const rest = (await backend.listParts(upload)).filter(({ partNumber }) => partNumber > marker);
  const page = rest.slice(0, limit);
  return {
    content: result('ListPartsResult', [
      xml('Bucket', bucket),
      xml('Key', encode(key)),
      xml('EncodingType', encodingType),
      xml('UploadId', upload.uploadId),
      ownerElement(info.initiator ?? owner, 'Initiator'),
      ownerElement(info.owner ?? owner),
      xml('StorageClass', info.storageClass ?? 'STANDARD'),
      xml('ChecksumAlgorithm', info.checksum?.algorithm.toUpperCase()),
      xml('ChecksumType', info.checksum?.kind.toUpperCase()),
      xml('PartNumberMarker', marker),
      xml('NextPartNumberMarker', page.at(-1)?.partNumber ?? marker),
      xml('MaxParts', limit),
      xml('IsTruncated', page.length < rest.length),
      ...page.map((part) =>
        xml('Part', [
          xml('PartNumber', part.partNumber),
          xml('LastModified', isoTime(part.mtimeMs)),
          xml('ETag', quoteEtag(part.etag)),
          xml('Size', part.sizeBytes),
          ...checksumElements(part.checksums),
        ]),
      ),
    ]),
  };
}
