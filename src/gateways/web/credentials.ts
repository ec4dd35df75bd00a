import type { IncomingMessage } from 'node:http';
import { permissionDenied } from '#kernel/fault.ts';

export const sessionCookie = 'cellar_session';

export interface Credentials {
  readonly token: string;
  /** Sent by the browser by itself: whoever made the page behind the request has to be checked. */
  readonly isAmbient: boolean;
}

/** The token of a request: `Authorization: Bearer`, else the session's cookie. Undefined: none. */
export function readCredentials({ headers }: IncomingMessage): Credentials | undefined {
  const { authorization, cookie } = headers;
  if (authorization !== undefined && authorization.slice(0, 7).toLowerCase() === 'bearer ')
    return { token: authorization.slice(7).trim(), isAmbient: false };
  const token = cookie === undefined ? undefined : readCookie(cookie, sessionCookie);
  return token === undefined ? undefined : { token, isAmbient: true };
}

/** `Set-Cookie` for a session that ends after `maxAgeSeconds`; 0 removes it. */
export function sessionCookieHeader(token: string, maxAgeSeconds: number, isSecureWay: boolean): string {
  const secure = isSecureWay ? '; Secure' : '';
  return `${sessionCookie}=${token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${Math.max(0, Math.floor(maxAgeSeconds))}${secure}`;
}

/**
 * Refuses what another site's page made a browser send with our cookie. For requests that change something.
 * Errors: `permission_denied`. Source: Fetch Metadata, `Sec-Fetch-Site`; RFC 6454.
 */
export function assertSameOrigin({ headers }: IncomingMessage): void {
  const site = headers['sec-fetch-site'];
  if (site !== undefined ? site === 'same-origin' || site === 'none' : isOwnOrigin(headers.origin, headers.host)) return;
  throw permissionDenied('A page of another origin cannot use the session of this browser', {
    reason: 'cross_origin',
    hint: 'Programs send a token with "Authorization: Bearer" instead of the cookie.',
  });
}

function isOwnOrigin(origin: string | undefined, host: string | undefined): boolean {
  return origin !== undefined && host !== undefined && (origin === `http://${host}` || origin === `https://${host}`);
}

function readCookie(header: string, name: string): string | undefined {
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=');
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim() || undefined;
  }
  return undefined;
}
