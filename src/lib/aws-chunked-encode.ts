import { createHash } from 'node:crypto';
import type { ChunkSigning } from './aws-chunked.ts';
import { emptySha256, scopeText, sha256Hex, signText } from './sigv4.ts';

/**
 * Encodes a small body in `aws-chunked` form: the given chunks, the last empty chunk and the trailer, signed when `signing` is given.
 * For clients and tests; `decodeAwsChunked` is its inverse.
 */
export function encodeAwsChunked(
  chunks: readonly Uint8Array[],
  signing?: ChunkSigning,
  trailer?: Readonly<Record<string, string>>,
): Buffer {
  const parts: Uint8Array[] = [];
  let previous = signing?.seed ?? '';
  for (const chunk of [...chunks, new Uint8Array(0)]) {
    let header = chunk.length.toString(16);
    if (signing) {
      const hash = createHash('sha256').update(chunk).digest('hex');
      previous = signText(
        signing.key,
        ['AWS4-HMAC-SHA256-PAYLOAD', signing.timestamp, scopeText(signing.scope), previous, emptySha256, hash].join('\n'),
      );
      header += `;chunk-signature=${previous}`;
    }
    parts.push(Buffer.from(`${header}\r\n`), chunk);
    if (chunk.length > 0) parts.push(Buffer.from('\r\n'));
  }
  if (trailer) {
    const entries = Object.entries(trailer);
    parts.push(Buffer.from(entries.map(([name, value]) => `${name}:${value}\r\n`).join('')));
    if (signing) {
      const text = entries.map(([name, value]) => `${name}:${value}\n`).join('');
      const signature = signText(
        signing.key,
        ['AWS4-HMAC-SHA256-TRAILER', signing.timestamp, scopeText(signing.scope), previous, sha256Hex(text)].join('\n'),
      );
      parts.push(Buffer.from(`x-amz-trailer-signature:${signature}\r\n`));
    }
  }
  parts.push(Buffer.from('\r\n'));
  return Buffer.concat(parts);
}
