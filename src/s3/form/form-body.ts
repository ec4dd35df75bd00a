import { createHash } from 'node:crypto';
import type { ChecksumAlgorithm } from '#lib/checksum.ts';
import { createChecksum } from '#lib/checksum.ts';
import type { ObjectBody } from '../backend.ts';
import { readChecksumHeader, readContentMd5 } from '../body.ts';
import { S3Error } from '../errors.ts';

export interface FormBodyOptions {
  readonly bytes: AsyncIterable<Uint8Array>;
  /** The form's fields as headers: may promise a digest. */
  readonly headers: ReadonlyMap<string, string>;
  /** Both inclusive. */
  readonly sizeBytesMin: number;
  readonly sizeBytesMax: number;
  /** Made of the bytes when the form chose no checksum. */
  readonly algorithm?: ChecksumAlgorithm | undefined;
}

/** The file of a form, checked while it passes. Errors: `EntityTooLarge`, `EntityTooSmall`, `BadDigest`, and those of the bytes. */
export function createFormBody(options: FormBodyOptions): ObjectBody {
  const { headers, sizeBytesMin, sizeBytesMax } = options;
  const expectedMd5 = readContentMd5(headers);
  const expected = readChecksumHeader(headers);
  const algorithm = expected?.algorithm ?? options.algorithm;
  const md5 = createHash('md5');
  const checksum = algorithm && createChecksum(algorithm);
  const sizeError = (code: 'EntityTooLarge' | 'EntityTooSmall', sizeBytes: number): S3Error =>
    new S3Error(code, undefined, {
      fields: { ProposedSize: String(sizeBytes), MaxSizeAllowed: String(sizeBytesMax), MinSizeAllowed: String(sizeBytesMin) },
    });
  async function* bytes(): AsyncGenerator<Uint8Array> {
    let received = 0;
    for await (const chunk of options.bytes) {
      received += chunk.length;
      if (received > sizeBytesMax) throw sizeError('EntityTooLarge', received);
      md5.update(chunk);
      checksum?.update(chunk);
      yield chunk;
    }
    if (received < sizeBytesMin) throw sizeError('EntityTooSmall', received);
  }
  return {
    bytes: bytes(),
    sizeBytes: undefined,
    async verify() {
      const digest = md5.digest();
      if (expectedMd5 && !expectedMd5.equals(digest)) throw new S3Error('BadDigest');
      const value = checksum?.digest().toString('base64');
      if (expected && expected.value !== value) throw new S3Error('BadDigest');
      return { md5Hex: digest.toString('hex'), checksums: algorithm && value !== undefined ? { [algorithm]: value } : {} };
    },
  };
}
