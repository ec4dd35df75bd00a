import type { IncomingMessage } from 'node:http';

/** The network address of the client, without port: the peer's, or what the proxy in front says when it is trusted. */
export function clientAddress(request: IncomingMessage, trustsProxy: boolean): string {
  const peer = request.socket.remoteAddress ?? '';
  const forwarded = trustsProxy ? request.headers['x-forwarded-for'] : undefined;
  // The last entry is the one our own proxy added; those before it may be anything.
  const address = typeof forwarded === 'string' ? (forwarded.split(',').at(-1) ?? '').trim() : peer;
  const shown = address || peer;
  return shown.startsWith('::ffff:') ? shown.slice(7) : shown;
}

/** True when the client's way to us is encrypted. */
export function isSecure(request: IncomingMessage, trustsProxy: boolean): boolean {
  if ('encrypted' in request.socket && request.socket.encrypted) return true;
  return trustsProxy && request.headers['x-forwarded-proto'] === 'https';
}
