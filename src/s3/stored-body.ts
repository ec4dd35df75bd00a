import { createHash } from 'node:crypto';
import { rangeSizeBytes } from '#lib/byte-range.ts';
import { type ChecksumAlgorithm, createChecksum } from '#lib/checksum.ts';
import type { ObjectBody, ObjectContent } from './backend.ts';

/** The bytes of an object that is already stored, as the body of a new write; dispose it when the write has ended. */
export function storedBody({ info, range, body }: ObjectContent, algorithm?: ChecksumAlgorithm): ObjectBody & AsyncDisposable {
  const sizeBytes = range ? rangeSizeBytes(range) : info.sizeBytes;
  const md5 = createHash('md5');
  const checksum = algorithm && createChecksum(algorithm);
  let received = 0;
  async function* bytes(): AsyncGenerator<Uint8Array> {
    for await (const chunk of body instanceof Uint8Array ? [body] : body) {
      received += chunk.length;
      md5.update(chunk);
      checksum?.update(chunk);
      yield chunk;
    }
  }
  return {
    bytes: bytes(),
    sizeBytes,
    async verify() {
      if (received !== sizeBytes) throw new Error(`The source ended after ${received} of ${sizeBytes} bytes`);
      return {
        md5Hex: md5.digest('hex'),
        checksums: checksum && algorithm ? { [algorithm]: checksum.digest().toString('base64') } : {},
      };
    },
    async [Symbol.asyncDispose]() {
      if (!(body instanceof Uint8Array)) await body[Symbol.asyncDispose]();
    },
  };
}
