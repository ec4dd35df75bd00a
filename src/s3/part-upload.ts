import { type ChecksumAlgorithm, checksumAlgorithms } from '#lib/checksum.ts';
import type { CustomerKey, Encryption } from './backend.ts';
import { readCustomerKey } from './encryption-headers.ts';
import { S3Error } from './errors.ts';

/** The client's key of a part, which has to be that of its upload. Errors: `InvalidRequest`, and those of `readCustomerKey`. */
export function partKey(headers: ReadonlyMap<string, string>, encryption: Encryption | undefined): CustomerKey | undefined {
  const key = readCustomerKey(headers);
  if (encryption?.kind !== 'sse_c') {
    if (!key) return undefined;
    throw new S3Error('InvalidRequest', 'The multipart upload initiate requested no encryption with a customer provided key.');
  }
  if (!key)
    throw new S3Error(
      'InvalidRequest',
      'The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.',
    );
  if (key.keyMd5 !== encryption.keyMd5)
    throw new S3Error('InvalidRequest', 'The provided encryption parameters did not match the ones used originally.');
  return key;
}

/** Errors: `InvalidRequest` when a part comes with another kind of checksum than its upload was begun with. */
export function assertPartChecksum(headers: ReadonlyMap<string, string>, wanted: ChecksumAlgorithm | undefined): void {
  if (wanted === undefined) return;
  const trailer = headers.get('x-amz-trailer')?.trim().toLowerCase();
  const given = checksumAlgorithms.find((name) => headers.has(`x-amz-checksum-${name}`) || trailer === `x-amz-checksum-${name}`);
  if (given !== undefined && given !== wanted)
    throw new S3Error(
      'InvalidRequest',
      `Checksum Type mismatch occurred, expected checksum Type: ${wanted}, actual checksum Type: ${given}`,
    );
}
