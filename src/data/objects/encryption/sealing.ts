import { Code, Fault } from '#kernel/fault.ts';
import { SealError } from '#lib/sealed-bytes.ts';
import type { ByteStream } from '#s3/backend.ts';
import type { ContentCoding } from '../logic/content-coding.ts';
import { close } from '../logic/fs.ts';
import { deriveKey } from './envelope.ts';
import type { KeyRing } from './key-ring.ts';
import { readSealedBytes, readSealedFile, sealSegment, segmentSizeBytes } from './sealed-file.ts';

/** Seals the contents of objects by keys of the ring. Errors: those of the ring; `data_loss` with reason `object_damaged` while reading. */
export function createSealing(keyRing: KeyRing): ContentCoding {
  return {
    newEnvelope: async (request) => (await keyRing.newDataKey(request)).envelope,
    encoder(envelope, partNumber, customerKey) {
      const key = keyRing.openEnvelope(envelope, customerKey);
      return {
        envelope,
        encode: (plain) => sealSegment(envelope, key, partNumber, plain),
        // As with S3: the MD5 of the content is told only where the server alone has the keys.
        etagOf: (md5Hex) =>
          envelope.kind === 'sse_s3' ? md5Hex : deriveKey(key, Buffer.from(md5Hex, 'hex'), 'etag').toString('hex', 0, 16),
      };
    },
    encodedSizeBytes: segmentSizeBytes,
    decoder({ envelope, parts, plainSizeBytes = 0 }, customerKey) {
      const key = keyRing.openEnvelope(envelope, customerKey);
      const segments = parts ?? [{ partNumber: 0, sizeBytes: plainSizeBytes }];
      return { read: (fd, range) => closing(fd, readSealedBytes(fd, { envelope, segments }, key, range)) };
    },
    async recognise(fd, sizeBytes) {
      const found = await readSealedFile(fd, sizeBytes);
      if (!found) return undefined;
      const { envelope, segments } = found;
      const plainSizeBytes = segments.reduce((sum, segment) => sum + segment.sizeBytes, 0);
      const isWhole = segments[0]?.partNumber === 0;
      return { envelope, plainSizeBytes, ...(isWhole ? {} : { parts: segments }) };
    },
  };
}

/** The stream of an open file, which is closed when nobody reads it any more. */
function closing(fd: number, bytes: AsyncGenerator<Uint8Array>): ByteStream {
  let isClosed = false;
  return {
    async *[Symbol.asyncIterator]() {
      try {
        yield* bytes;
      } catch (error) {
        if (!(error instanceof SealError)) throw error;
        throw new Fault(Code.DataLoss, 'The object is damaged: its bytes on the disk are not those that were written', {
          reason: 'object_damaged',
          hint: 'Restore it from a backup.',
          cause: error,
        });
      }
    },
    async [Symbol.asyncDispose]() {
      if (isClosed) return;
      isClosed = true;
      await bytes.return(undefined);
      close(fd);
    },
  };
}
