import { formatHttpDate } from '#lib/http-date.ts';
import { type XmlChild, xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { ObjectInfo } from '../backend.ts';
import type { S3Call } from '../call.ts';
import { assertReadableWith, readCustomerKey } from '../encryption-headers.ts';
import { S3Error } from '../errors.ts';
import { checksumElements, checksumHeaders } from '../object-headers.ts';
import { readError, readRef } from '../object-ref.ts';
import { result } from '../xml-result.ts';

const known = new Set(['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize']);
const partsMax = 1_000;

/** What is known of an object, as far as it was asked for. */
export async function getObjectAttributes(call: S3Call): Promise<S3Answer> {
  const { headers } = call;
  const wanted = readWanted(headers);
  const ref = readRef(call);
  try {
    const info = await call.backend.head(ref);
    assertReadableWith(readCustomerKey(headers), info.encryption);
    const { 'x-amz-checksum-type': checksumType } = checksumHeaders(info.checksums);
    return {
      headers: { 'last-modified': formatHttpDate(info.mtimeMs), 'x-amz-version-id': info.versionId },
      content: result('GetObjectAttributesResponse', [
        wanted.has('ETag') && xml('ETag', info.etag),
        wanted.has('Checksum') &&
          checksumType !== undefined &&
          xml('Checksum', [...checksumElements(info.checksums), xml('ChecksumType', checksumType)]),
        wanted.has('ObjectParts') && partElements(info, headers),
        wanted.has('StorageClass') && xml('StorageClass', info.storageClass ?? 'STANDARD'),
        wanted.has('ObjectSize') && xml('ObjectSize', info.sizeBytes),
      ]),
    };
  } catch (error) {
    throw readError(error, ref);
  }
}

function readWanted(headers: ReadonlyMap<string, string>): ReadonlySet<string> {
  const words = (headers.get('x-amz-object-attributes') ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
  if (words.length === 0 || words.some((word) => !known.has(word)))
    throw new S3Error('InvalidArgument', 'Invalid attribute name specified.', {
      fields: { ArgumentName: 'x-amz-object-attributes', ArgumentValue: words.join(',') },
    });
  return new Set(words);
}

function partElements({ parts }: ObjectInfo, headers: ReadonlyMap<string, string>): XmlChild {
  const limit = Math.min(readNumber(headers, 'x-amz-max-parts') ?? partsMax, partsMax);
  const marker = readNumber(headers, 'x-amz-part-number-marker') ?? 0;
  if (!parts) return undefined;
  const rest = parts.filter(({ partNumber }) => partNumber > marker);
  const page = rest.slice(0, limit);
  return xml('ObjectParts', [
    xml('PartsCount', parts.length),
    xml('PartNumberMarker', marker),
    xml('NextPartNumberMarker', page.at(-1)?.partNumber ?? marker),
    xml('MaxParts', limit),
    xml('IsTruncated', page.length < rest.length),
    ...page.map(({ partNumber, sizeBytes, checksums = {} }) =>
      xml('Part', [xml('PartNumber', partNumber), xml('Size', sizeBytes), ...checksumElements(checksums)]),
    ),
  ]);
}

function readNumber(headers: ReadonlyMap<string, string>, name: string): number | undefined {
  const text = headers.get(name);
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text))
    throw new S3Error('InvalidArgument', `${name} must be a number`, { fields: { ArgumentName: name, ArgumentValue: text } });
  return Number(text);
}
