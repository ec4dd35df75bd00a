import type { IncomingMessage } from 'node:http';

/**
 * True for a request that speaks S3, at an address that also serves other things: it is signed the S3 way, in its header or its
 * query, or carries an `x-amz-` header. Says nothing about whether the signature is any good.
 */
export function isS3Request({ headers, url = '' }: Pick<IncomingMessage, 'headers' | 'url'>): boolean {
  if (/^AWS(4-HMAC-SHA256)? /.test(headers.authorization ?? '')) return true;
  if (/[?&](X-Amz-(Algorithm|Signature)|AWSAccessKeyId)=/.test(url)) return true;
  return Object.keys(headers).some((name) => name.startsWith('x-amz-'));
}
