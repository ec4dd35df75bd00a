import { compareUtf8 } from '#lib/utf8-order.ts';
import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { UploadInfo } from '../backend.ts';
import type { S3Call } from '../call.ts';
import { readListParameters } from '../list-query.ts';
import { isoTime, owner, result } from '../xml-result.ts';

export async function listMultipartUploads({ backend, bucket, query }: S3Call): Promise<S3Answer> {
  const { prefix, delimiter, limit, encode, encodingType } = readListParameters(query, 'max-uploads');
  const keyMarker = query.get('key-marker') ?? '';
  const idMarker = query.get('upload-id-marker') ?? '';
  const isAfter = ({ key, uploadId }: UploadInfo): boolean => {
    const order = compareUtf8(key, keyMarker);
    return order > 0 || (order === 0 && idMarker !== '' && uploadId > idMarker);
  };
  const found = (await backend.listUploads(bucket)).filter((upload) => upload.key.startsWith(prefix) && isAfter(upload));
  const groupOf = ({ key }: UploadInfo): string | undefined => {
    const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    return at < 0 ? undefined : key.slice(0, at + delimiter.length);
  };
  const rest = found.filter((upload) => groupOf(upload) === undefined);
  const groups = new Set(found.map(groupOf).filter((group) => group !== undefined));
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  const isTruncated = page.length < rest.length;
  return {
    content: result('ListMultipartUploadsResult', [
      xml('Bucket', bucket),
      xml('KeyMarker', encode(keyMarker)),
      xml('UploadIdMarker', idMarker),
      isTruncated && last && xml('NextKeyMarker', encode(last.key)),
      isTruncated && last && xml('NextUploadIdMarker', last.uploadId),
      xml('Prefix', encode(prefix)),
      delimiter !== '' && xml('Delimiter', encode(delimiter)),
      xml('EncodingType', encodingType),
      xml('MaxUploads', limit),
      xml('IsTruncated', isTruncated),
      ...page.map((upload) =>
        xml('Upload', [
          xml('Key', encode(upload.key)),
          xml('UploadId', upload.uploadId),
          owner('Initiator'),
          owner(),
          xml('StorageClass', 'STANDARD'),
          xml('Initiated', isoTime(upload.initiatedMs)),
          xml('ChecksumAlgorithm', upload.checksum?.algorithm.toUpperCase()),
        ]),
      ),
      ...[...groups].map((group) => xml('CommonPrefixes', [xml('Prefix', encode(group))])),
    ]),
  };
}
