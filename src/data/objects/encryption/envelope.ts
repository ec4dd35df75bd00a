import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { Encryption } from '#s3/backend.ts';

/**
 * What lies beside sealed bytes and says how to open them: the key they were sealed with, itself sealed by a key that lies elsewhere.
 * `by` is the id of that key in the key ring; a client's own key is not kept, only its MD5, which is told back to the client. Kept for ever, so fields are only ever added.
 */
export type Envelope =
  | { readonly kind: 'sse_s3'; readonly by: string; readonly dataKey: string }
  | { readonly kind: 'sse_kms'; readonly by: string; readonly dataKey: string; readonly keyId: string; readonly context?: string }
  | { readonly kind: 'sse_c'; readonly dataKey: string; readonly keyMd5: string };

/** How an envelope is told to clients. */
export function encryptionOf(envelope: Envelope): Encryption {
  if (envelope.kind === 'sse_s3') return { kind: 'sse_s3' };
  if (envelope.kind === 'sse_c') return { kind: 'sse_c', keyMd5: envelope.keyMd5 };
  const { keyId, context } = envelope;
  return { kind: 'sse_kms', keyId, ...(context === undefined ? {} : { context }) };
}

const saltSizeBytes = 32;
const tagSizeBytes = 16;
// Each wrapping has a key of its own, made with a salt, so the nonce is used once.
const nonce = Buffer.alloc(12);

/** A key of 32 bytes from another and a salt; `purpose` keeps the keys for different things apart. */
export const deriveKey = (key: Uint8Array, salt: Uint8Array, purpose: string): Buffer =>
  Buffer.from(hkdfSync('sha256', key, salt, `cellar ${purpose}`, 32));

/** Seals a data key. `context` is what must be told again to open it. Result: base64 of salt, sealed key and tag. */
export function wrapKey(wrappingKey: Uint8Array, dataKey: Uint8Array, context: string): string {
  const salt = randomBytes(saltSizeBytes);
  const cipher = createCipheriv('aes-256-gcm', deriveKey(wrappingKey, salt, 'wrap'), nonce);
  cipher.setAAD(Buffer.from(context));
  const body = Buffer.concat([cipher.update(dataKey), cipher.final()]);
  return Buffer.concat([salt, body, cipher.getAuthTag()]).toString('base64');
}

/** `undefined` when it was sealed by another key or with another context. */
export function unwrapKey(wrappingKey: Uint8Array, wrapped: string, context: string): Buffer | undefined {
  const bytes = Buffer.from(wrapped, 'base64');
  if (bytes.length < saltSizeBytes + tagSizeBytes) return undefined;
  const key = deriveKey(wrappingKey, bytes.subarray(0, saltSizeBytes), 'wrap');
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagSizeBytes });
  decipher.setAAD(Buffer.from(context));
  decipher.setAuthTag(bytes.subarray(-tagSizeBytes));
  const body = decipher.update(bytes.subarray(saltSizeBytes, -tagSizeBytes));
  try {
    return Buffer.concat([body, decipher.final()]);
  } catch {
    return undefined;
  }
}
