import type { ByteRange } from '#lib/byte-range.ts';
import type { ByteStream, CustomerKey, EncryptionRequest } from '#s3/backend.ts';
import type { Envelope } from '../encryption/envelope.ts';
import type { StoredObject } from '../store/store.ts';

/** What lies between the bytes of an object and those of its file, where they are not the same. */
export interface ContentCoding {
  /** Errors: `no_such_kms_key`. */
  encoder(request: EncryptionRequest): Promise<ContentEncoder>;
  /** Errors: `customer_key_missing`, `customer_key_wrong`. */
  decoder(stored: StoredObject & { readonly envelope: Envelope }, customerKey: CustomerKey | undefined): ContentDecoder;
}

export interface ContentEncoder {
  readonly envelope: Envelope;
  encode(plain: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
}

export interface ContentDecoder {
  /** A part of the plain bytes of an open file, which the result closes when it is disposed. `range` lies inside or is empty. */
  read(fd: number, range: ByteRange): ByteStream;
}
