import { failedPrecondition } from '#kernel/fault.ts';
import type { ByteRange } from '#lib/byte-range.ts';
import type { ByteStream, CustomerKey, EncryptionRequest } from '#s3/backend.ts';
import type { BucketSettings } from '#s3/bucket-settings.ts';
import type { Envelope } from '../encryption/envelope.ts';
import type { StoredObject } from '../store/store.ts';

/** What lies between the bytes of an object and those of its file, where they are not the same. */
export interface ContentCoding {
  /** For a new object. Errors: `no_such_kms_key`. */
  newEnvelope(request: EncryptionRequest): Promise<Envelope>;
  /** `partNumber` is 0 for what is not made of parts. Errors: `customer_key_missing`, `customer_key_wrong`. */
  encoder(envelope: Envelope, partNumber: number, customerKey: CustomerKey | undefined): ContentEncoder;
  /** How large the file of so many bytes is. */
  encodedSizeBytes(envelope: Envelope, plainSizeBytes: number): number;
  /** Errors: `customer_key_missing`, `customer_key_wrong`. */
  decoder(stored: EncodedObject, customerKey: CustomerKey | undefined): ContentDecoder;
  /** What an open file says of itself, of which nothing else is known; `undefined` when its bytes are what they are. */
  recognise(fd: number, sizeBytes: number): Promise<EncodedObject | undefined>;
}

export type EncodedObject = Pick<StoredObject, 'plainSizeBytes' | 'parts'> & { readonly envelope: Envelope };

export interface ContentEncoder {
  readonly envelope: Envelope;
  encode(plain: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
  /** The etag of bytes with this MD5. */
  etagOf(md5Hex: string): string;
}

export interface ContentDecoder {
  /** A part of the plain bytes of an open file, which the result closes when it is disposed. `range` lies inside or is empty. */
  read(fd: number, range: ByteRange): ByteStream;
}

/** The envelope of a new object: as is asked for, else as its bucket presets; `undefined` when neither says that it is to be encrypted. */
export async function newEnvelope(
  { coding, settings }: { readonly coding: ContentCoding | undefined; readonly settings: BucketSettings },
  request: EncryptionRequest | undefined,
): Promise<Envelope | undefined> {
  const wanted = request ?? presetOf(settings);
  if (!wanted) return undefined;
  if (!coding) throw failedPrecondition('Cannot encrypt the object: no keys are configured', { reason: 'no_such_kms_key' });
  return await coding.newEnvelope(wanted);
}

/** How a bucket wants its new objects encrypted. */
export function presetOf({ encryption }: BucketSettings): EncryptionRequest | undefined {
  if (!encryption) return undefined;
  return encryption.algorithm === 'AES256' ? { kind: 'sse_s3' } : { kind: 'sse_kms', keyId: encryption.keyId ?? 'aws/s3' };
}

/** The client's key of a write that has one. */
export const customerKeyOf = (request: EncryptionRequest | undefined): CustomerKey | undefined =>
  request?.kind === 'sse_c' ? request : undefined;
