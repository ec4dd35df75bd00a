import { createHmac, timingSafeEqual } from 'node:crypto';
import type { SignableRequest } from './sigv4.ts';
import { uriEncode } from './uri-encode.ts';

/** What a request signed the old way (AWS Signature Version 2) says about its signature, read but not yet verified. */
export interface AuthorizationV2 {
  readonly kind: 'header' | 'query';
  readonly accessKey: string;
  /** Base64. */
  readonly signature: string;
  /** When it was signed, or, of a query, when it expires. NaN: that cannot be read. */
  readonly timeMs: number;
}

/** Query words that are part of what is signed. Source: "Signing and authenticating REST requests", S3. */
const signedWords = new Set(
  (
    'accelerate acl attributes cors delete encryption legal-hold lifecycle location logging notification object-lock ownershipControls partNumber ' +
    'policy policyStatus publicAccessBlock replication requestPayment restore retention tagging torrent uploadId uploads versionId versioning ' +
    'versions website response-cache-control response-content-disposition response-content-encoding response-content-language ' +
    'response-content-type response-expires'
  ).split(' '),
);

/** Undefined for a request without such a signature. One that cannot be read has an empty access key or signature. */
export function parseAuthorizationV2(request: SignableRequest): AuthorizationV2 | undefined {
  const header = request.headers.get('authorization');
  if (header?.startsWith('AWS ')) {
    const [, accessKey = '', signature = ''] = /^AWS\s+([^:\s]+):(\S+)\s*$/.exec(header) ?? [];
    const date = request.headers.get('x-amz-date') ?? request.headers.get('date') ?? '';
    return { kind: 'header', accessKey, signature, timeMs: Date.parse(date) };
  }
  const query = new Map(request.query);
  const accessKey = query.get('AWSAccessKeyId');
  if (accessKey === undefined) return undefined;
  const expires = query.get('Expires') ?? '';
  const timeMs = /^\d{1,12}$/.test(expires) ? Number(expires) * 1_000 : Number.NaN;
  return { kind: 'query', accessKey, signature: query.get('Signature') ?? '', timeMs };
}

/** The text that is signed. `resource` is the decoded path, beginning with the bucket also when that is in the host's name. */
export function stringToSignV2(request: SignableRequest, { kind }: Pick<AuthorizationV2, 'kind'>, resource: string): string {
  const { method, query, headers } = request;
  const header = (name: string): string => headers.get(name) ?? '';
  const amz = [...headers]
    .filter(([name]) => name.startsWith('x-amz-'))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}:${value.trim()}\n`)
    .join('');
  const words = query
    .filter(([name]) => signedWords.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => (value === '' ? name : `${name}=${value}`))
    .join('&');
  const date = kind === 'query' ? (new Map(query).get('Expires') ?? '') : headers.has('x-amz-date') ? '' : header('date');
  const path = uriEncode(resource, true) + (words === '' ? '' : `?${words}`);
  return [method, header('content-md5'), header('content-type'), date, `${amz}${path}`].join('\n');
}

/** Base64. */
export const signTextV2 = (secret: string, text: string): string => createHmac('sha1', secret).update(text).digest('base64');

/** True when `signature` is that of the text. Takes the same time for every wrong one of the right length. */
export function isSignatureV2Valid(secret: string, text: string, signature: string): boolean {
  const expected = Buffer.from(signTextV2(secret, text));
  const given = Buffer.from(signature);
  return given.length === expected.length && timingSafeEqual(given, expected);
}
