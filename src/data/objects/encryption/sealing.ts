import { Code, Fault } from '#kernel/fault.ts';
import { SealError } from '#lib/sealed-bytes.ts';
import type { ByteStream } from '#s3/backend.ts';
import type { ContentCoding } from '../logic/content-coding.ts';
import { close } from '../logic/fs.ts';
import type { KeyRing } from './key-ring.ts';
import { readSealedBytes, sealSegment } from './sealed-file.ts';

/** Seals the contents of objects by keys of the ring. Errors: those of the ring; `data_loss` with reason `object_damaged` while reading. */
export function createSealing(keyRing: KeyRing): ContentCoding {
  return {
    async encoder(request) {
      const { envelope, key } = await keyRing.newDataKey(request);
      return { envelope, encode: (plain) => sealSegment(envelope, key, 0, plain) };
    },
    decoder({ envelope, parts, plainSizeBytes = 0 }, customerKey) {
      const key = keyRing.openEnvelope(envelope, customerKey);
      const segments = parts ?? [{ partNumber: 0, sizeBytes: plainSizeBytes }];
      return { read: (fd, range) => closing(fd, readSealedBytes(fd, { envelope, segments }, key, range)) };
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
