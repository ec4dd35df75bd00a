import { isChecksumAlgorithm } from '#lib/checksum.ts';
import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { UploadChecksum } from '../backend.ts';
import type { S3Call } from '../call.ts';
import { encryptionHeaders } from '../encryption-headers.ts';
import { S3Error } from '../errors.ts';
import { readNewObject } from '../new-object.ts';
import { result } from '../xml-result.ts';

export async function createMultipartUpload(call: S3Call): Promise<S3Answer> {
  const { backend, bucket, key, user } = call;
  const checksum = readChecksum(call);
  const object = await readNewObject(call, call.settings);
  const uploadId = await backend.createUpload(
    { bucket, key },
    { ...object, initiator: user && { id: user.id, displayName: user.displayName }, checksum },
  );
  return {
    headers: {
      'x-amz-checksum-algorithm': checksum?.algorithm.toUpperCase(),
      'x-amz-checksum-type': checksum?.kind.toUpperCase(),
      ...encryptionHeaders(object.encryption),
    },
    content: result('InitiateMultipartUploadResult', [xml('Bucket', bucket), xml('Key', key), xml('UploadId', uploadId)]),
  };
}

/** CRC-64/NVME is made over the whole object, SHA over the parts; the others as asked, over the parts when nothing is. */
function readChecksum({ headers }: S3Call): UploadChecksum | undefined {
  const word = headers.get('x-amz-checksum-algorithm')?.toLowerCase();
  const type = headers.get('x-amz-checksum-type')?.toUpperCase();
  if (word === undefined) {
    if (type === undefined) return undefined;
    throw new S3Error(
      'InvalidRequest',
      'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.',
    );
  }
  if (!isChecksumAlgorithm(word)) throw new S3Error('InvalidRequest', 'Checksum algorithm provided is unsupported.');
  const kind = type ?? (word === 'crc64nvme' ? 'FULL_OBJECT' : 'COMPOSITE');
  const isPossible = kind === 'FULL_OBJECT' ? word.startsWith('crc') : kind === 'COMPOSITE' && word !== 'crc64nvme';
  if (!isPossible)
    throw new S3Error('InvalidRequest', `The ${kind} checksum type cannot be used with the ${word} checksum algorithm.`);
  return { algorithm: word, kind: kind === 'FULL_OBJECT' ? 'full_object' : 'composite' };
}
