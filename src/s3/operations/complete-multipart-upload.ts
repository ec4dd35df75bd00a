import { checksumAlgorithms } from '#lib/checksum.ts';
import { type XmlNode, xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { CompletedPart, CompleteOptions, CustomerKey, UploadName } from '../backend.ts';
import type { S3Call } from '../call.ts';
import { readCustomerKey } from '../encryption-headers.ts';
import { S3Error } from '../errors.ts';
import {
  checksumElementName,
  checksumElements,
  checksumHeaders,
  quoteEtag,
  readWriteCondition,
  writeHeaders,
} from '../object-headers.ts';
import { partKey } from '../part-upload.ts';
import { readUploadName } from '../upload-name.ts';
import { result } from '../xml-result.ts';

const partsMax = 10_000;

export async function completeMultipartUpload(call: S3Call): Promise<S3Answer> {
  const { backend, bucket, key, headers } = call;
  const document = await call.xml('CompleteMultipartUpload', true);
  const listed = document.all('Part').map(readPart);
  // A client that sent a part twice may list it twice: the last counts.
  const parts = listed.filter((part, index) => part.partNumber !== listed[index + 1]?.partNumber);
  if (parts.length === 0 || parts.length > partsMax) throw new S3Error('MalformedXML');
  if (parts.some((part, index) => index > 0 && part.partNumber <= parts[index - 1]!.partNumber))
    throw new S3Error('InvalidPartOrder');
  const upload = readUploadName(call);
  const customerKey = await readKey(call, upload);
  const info = await backend.completeUpload(upload, parts, {
    condition: readWriteCondition(call),
    customerKey,
    expected: readExpected(headers),
  });
  return {
    headers: writeHeaders(info, call.settings),
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

/** The client's key, which has to be that of the parts. What was completed already may be completed again; only the backend knows. */
async function readKey({ backend, headers }: S3Call, upload: UploadName): Promise<CustomerKey | undefined> {
  try {
    return partKey(headers, (await backend.headUpload(upload)).encryption);
  } catch (error) {
    if (S3Error.from(error).code === 'NoSuchUpload') return readCustomerKey(headers);
    throw error;
  }
}

/** What the sender says the whole object is; the headers of a checksum are about the object here, not about the request's body. */
function readExpected(headers: ReadonlyMap<string, string>): CompleteOptions['expected'] {
  const checksums = checksumAlgorithms.flatMap((algorithm) => {
    const value = headers.get(`x-amz-checksum-${algorithm}`);
    return value === undefined ? [] : [[algorithm, value] as const];
  });
  const size = headers.get('x-amz-mp-object-size');
  if (size !== undefined && !/^\d{1,15}$/.test(size))
    throw new S3Error('InvalidArgument', 'x-amz-mp-object-size must be a number of bytes', {
      fields: { ArgumentName: 'x-amz-mp-object-size', ArgumentValue: size },
    });
  return {
    ...(checksums.length > 0 ? { checksums: Object.fromEntries(checksums) } : {}),
    ...(size === undefined ? {} : { sizeBytes: Number(size) }),
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
