import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import { uriEncode } from './uri-encode.ts';

/** The parts of an HTTP request that AWS Signature Version 4 covers. */
export interface SignableRequest {
  readonly method: string;
  /** Path as decoded text, such as `/photos/a b.jpg`; never normalised: `//` and `..` are part of S3 keys. */
  readonly path: string;
  /** Decoded names and values in the order they came. */
  readonly query: readonly (readonly [name: string, value: string])[];
  /** Lower-case names; several fields of one name are joined with `,`. */
  readonly headers: ReadonlyMap<string, string>;
}

/** Where and when a signing key is valid. `date` is `YYYYMMDD`. */
export interface Scope {
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

/** What a signed request says about its own signature, read but not yet verified. */
export interface Authorization {
  readonly kind: 'header' | 'query';
  readonly accessKey: string;
  readonly scope: Scope;
  /** Lower-case names, as given. */
  readonly signedHeaders: readonly string[];
  /** 64 lower-case hexadecimal digits. */
  readonly signature: string;
  /** `YYYYMMDDTHHMMSSZ`. */
  readonly timestamp: string;
  readonly timeMs: number;
  /** Only with `kind: 'query'`. */
  readonly expiresSec?: number;
  /** The value of `x-amz-content-sha256`, or `UNSIGNED-PAYLOAD` for a query signature without one. */
  readonly payloadHash: string;
}

export type SigV4Problem =
  | 'malformed_header'
  | 'malformed_query'
  | 'missing_date'
  | 'missing_payload_hash'
  | 'unsigned_header'
  | 'skewed'
  | 'not_yet_valid'
  | 'expired';

/** Why a signature cannot be accepted, before or without comparing it. The message is safe to show. */
export class SigV4Error extends Error {
  readonly problem: SigV4Problem;

  constructor(problem: SigV4Problem, message: string) {
    super(message);
    this.name = 'SigV4Error';
    this.problem = problem;
  }
}

export const algorithm = 'AWS4-HMAC-SHA256';
export const unsignedPayload = 'UNSIGNED-PAYLOAD';
export const emptySha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const clockSkewMsMax = 15 * 60_000;
const expiresSecMax = 604_800;
const keysCachedMax = 1_000;

/**
 * Reads the signature of a request from its `Authorization` header or its `X-Amz-*` query.
 *
 * Returns `undefined` for a request without a Version 4 signature.
 * Errors: `SigV4Error` when it has one that cannot be read, or leaves `host` or an `x-amz-` header unsigned.
 */
export function parseAuthorization(request: SignableRequest): Authorization | undefined {
  const header = request.headers.get('authorization');
  if (header?.startsWith(algorithm)) return parseHeader(request, header);
  const query = new Map(request.query);
  if (query.has('X-Amz-Algorithm') || query.has('X-Amz-Signature')) return parseQuery(request, query);
  return undefined;
}

function parseHeader(request: SignableRequest, header: string): Authorization {
  const fields = new Map<string, string>();
  for (const field of header.slice(algorithm.length).split(',')) {
    const at = field.indexOf('=');
    if (at > 0) fields.set(field.slice(0, at).trim(), field.slice(at + 1).trim());
  }
  const [credential, signed, signature] = [fields.get('Credential'), fields.get('SignedHeaders'), fields.get('Signature')];
  if (!credential || !signed || !signature || !/^[0-9a-f]{64}$/.test(signature)) {
    throw new SigV4Error(
      'malformed_header',
      'The authorization header is malformed: it needs Credential, SignedHeaders and Signature',
    );
  }
  const timestamp = request.headers.get('x-amz-date') ?? basicIso(request.headers.get('date'));
  if (!timestamp) throw new SigV4Error('missing_date', 'The request needs a valid x-amz-date or Date header');
  const payloadHash = request.headers.get('x-amz-content-sha256');
  if (!payloadHash)
    throw new SigV4Error('missing_payload_hash', 'Missing required header for this request: x-amz-content-sha256');
  const signedHeaders = checkSigned(request, signed);
  const timeMs = timestampMs(timestamp);
  if (timeMs === undefined) throw new SigV4Error('missing_date', 'The request needs a valid x-amz-date or Date header');
  return {
    kind: 'header',
    ...parseCredential(credential, timestamp, 'malformed_header'),
    signedHeaders,
    signature,
    timestamp,
    timeMs,
    payloadHash,
  };
}

function parseQuery(request: SignableRequest, query: ReadonlyMap<string, string>): Authorization {
  const malformed = (message: string): SigV4Error => new SigV4Error('malformed_query', message);
  if (query.get('X-Amz-Algorithm') !== algorithm) throw malformed(`X-Amz-Algorithm only supports "${algorithm}"`);
  const [credential, signed, signature] = ['X-Amz-Credential', 'X-Amz-SignedHeaders', 'X-Amz-Signature'].map((name) =>
    query.get(name),
  );
  const [timestamp, expires] = [query.get('X-Amz-Date') ?? '', query.get('X-Amz-Expires') ?? ''];
  if (!credential || !signed || !signature)
    throw malformed('Query-string authentication needs X-Amz-Credential, X-Amz-SignedHeaders and X-Amz-Signature');
  if (!/^[0-9a-f]{64}$/.test(signature)) throw malformed('X-Amz-Signature must be 64 hexadecimal digits');
  const timeMs = timestampMs(timestamp);
  if (timeMs === undefined) throw malformed("X-Amz-Date must be in the ISO8601 long format \"yyyyMMdd'T'HHmmss'Z'\"");
  const expiresSec = /^\d{1,7}$/.test(expires) ? Number(expires) : Number.NaN;
  if (!(expiresSec >= 1 && expiresSec <= expiresSecMax))
    throw new SigV4Error('expired', `X-Amz-Expires must be between 1 and ${expiresSecMax} seconds`);
  return {
    kind: 'query',
    ...parseCredential(credential, timestamp, 'malformed_query'),
    signedHeaders: checkSigned(request, signed),
    signature,
    timestamp,
    timeMs,
    expiresSec,
    payloadHash: query.get('X-Amz-Content-Sha256') ?? request.headers.get('x-amz-content-sha256') ?? unsignedPayload,
  };
}

/** Errors: `SigV4Error` with `problem`. */
export function parseCredential(
  credential: string,
  timestamp: string,
  problem: SigV4Problem,
): { accessKey: string; scope: Scope } {
  const parts = credential.split('/');
  const [date = '', region = '', service = '', end = ''] = parts.slice(-4);
  const accessKey = parts.slice(0, -4).join('/');
  if (!accessKey || !/^\d{8}$/.test(date) || end !== 'aws4_request' || !service) {
    throw new SigV4Error(problem, 'The Credential is malformed; expecting "<access key>/YYYYMMDD/REGION/SERVICE/aws4_request"');
  }
  if (!timestamp.startsWith(date)) {
    throw new SigV4Error(problem, `Invalid credential date "${date}": it is not the date of "${timestamp}"`);
  }
  return { accessKey, scope: { date, region, service } };
}

/** Every `x-amz-` header acts on the request, so one that is not signed could have been added by somebody on the way. */
function checkSigned(request: SignableRequest, signed: string): readonly string[] {
  const names = signed.split(';');
  if (!names.includes('host')) throw new SigV4Error('unsigned_header', 'The host header must be signed');
  for (const name of request.headers.keys()) {
    if (name.startsWith('x-amz-') && !names.includes(name)) {
      throw new SigV4Error('unsigned_header', `There were headers present in the request which were not signed: ${name}`);
    }
  }
  return names;
}

/**
 * Checks that a signature is valid at `nowMs`.
 *
 * Errors: `SigV4Error` `skewed` (more than 15 minutes off), `not_yet_valid` or `expired` (query signatures).
 */
export function assertTimely(authorization: Authorization, nowMs: number): void {
  const { timeMs, expiresSec } = authorization;
  if (expiresSec === undefined) {
    if (Math.abs(nowMs - timeMs) > clockSkewMsMax) {
      throw new SigV4Error('skewed', 'The difference between the request time and the current time is too large');
    }
    return;
  }
  if (timeMs - nowMs > clockSkewMsMax) throw new SigV4Error('not_yet_valid', 'Request is not valid yet');
  if (nowMs > timeMs + expiresSec * 1_000) throw new SigV4Error('expired', 'Request has expired');
}

/** True when the request carries the signature that this secret gives it. Takes the same time for every wrong signature. */
export function isSignatureValid(request: SignableRequest, authorization: Authorization, secret: string): boolean {
  const expected = signatureOf(request, authorization, secret);
  return timingSafeEqual(Buffer.from(expected), Buffer.from(authorization.signature));
}

/** What is signed: the request, the names of its signed headers, and when, where and for which body. */
export type SigningTerms = Pick<Authorization, 'scope' | 'signedHeaders' | 'timestamp' | 'payloadHash'>;

/** The signature of a request, as 64 hexadecimal digits. An `X-Amz-Signature` in the query is not part of what is signed. */
export function signatureOf(request: SignableRequest, terms: SigningTerms, secret: string): string {
  const canonical = canonicalRequest(request, terms.signedHeaders, terms.payloadHash);
  return signText(signingKey(secret, terms.scope), stringToSign(terms, sha256Hex(canonical)));
}

/**
 * The canonical form of a request: the text whose hash is signed.
 * Source: "Create a signed AWS API request", step 1, with S3's rule that the path is encoded once and not normalised.
 */
export function canonicalRequest(request: SignableRequest, signedHeaders: readonly string[], payloadHash: string): string {
  const query = request.query
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => [uriEncode(name), uriEncode(value)] as const)
    .sort(([nameA, valueA], [nameB, valueB]) => compare(nameA, nameB) || compare(valueA, valueB))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
  const headers = signedHeaders
    .map((name) => `${name}:${(request.headers.get(name) ?? '').trim().replace(/ +/g, ' ')}\n`)
    .join('');
  return [request.method, uriEncode(request.path, true), query, headers, signedHeaders.join(';'), payloadHash].join('\n');
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export function stringToSign(terms: Pick<SigningTerms, 'timestamp' | 'scope'>, canonicalHash: string): string {
  return [algorithm, terms.timestamp, scopeText(terms.scope), canonicalHash].join('\n');
}

export const scopeText = (scope: Scope): string => `${scope.date}/${scope.region}/${scope.service}/aws4_request`;

const keys = new Map<string, Buffer>();

/** The key of one day, region and service. Four hashes the first time, then from a small cache. */
export function signingKey(secret: string, scope: Scope): Buffer {
  const id = `${scope.date}/${scope.region}/${scope.service}/${secret}`;
  const known = keys.get(id);
  if (known) return known;
  let key = hmac(`AWS4${secret}`, scope.date);
  for (const part of [scope.region, scope.service, 'aws4_request']) key = hmac(key, part);
  if (keys.size >= keysCachedMax) keys.clear();
  keys.set(id, key);
  return key;
}

/** True when `signature` is that of a text, such as the policy of a form, by this secret. */
export function isTextSignatureValid(secret: string, scope: Scope, text: string, signature: string): boolean {
  const expected = Buffer.from(signText(signingKey(secret, scope), text));
  const given = Buffer.from(signature);
  return given.length === expected.length && timingSafeEqual(expected, given);
}

export const signText = (key: Buffer, text: string): string => createHmac('sha256', key).update(text).digest('hex');
export const sha256Hex = (data: string | Uint8Array): string => hash('sha256', data, 'hex');
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** `YYYYMMDDTHHMMSSZ` of a time. */
export const timestampOf = (timeMs: number): string => new Date(timeMs).toISOString().replace(/[-:]|\.\d{3}/g, '');

/** Unit: milliseconds since 1970; undefined when it is no `YYYYMMDDTHHMMSSZ`. */
export function timestampMs(timestamp: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(timestamp);
  if (!match) return undefined;
  const timeMs = Date.parse(`${match[1]}-${match[2]}-${match[3]}T${match[4]}:${match[5]}:${match[6]}Z`);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

function basicIso(date: string | undefined): string | undefined {
  const timeMs = date === undefined ? Number.NaN : Date.parse(date);
  return Number.isNaN(timeMs) ? undefined : timestampOf(timeMs);
}
