import { algorithm, type Scope, type SignableRequest, scopeText, signatureOf, timestampOf, unsignedPayload } from './sigv4.ts';

export interface Credentials {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region: string;
  /** `s3` when absent. */
  readonly service?: string;
}

/**
 * Headers to add to a request so that it is signed: `x-amz-date`, `x-amz-content-sha256` and `authorization`.
 *
 * `request.headers` must hold `host` and every other header to sign. `payloadHash` is the SHA-256 of the body in hexadecimal or
 * one of the `UNSIGNED-` and `STREAMING-` words.
 */
export function signHeaders(
  request: SignableRequest,
  payloadHash: string,
  credentials: Credentials,
  timeMs: number,
): Record<string, string> {
  const timestamp = timestampOf(timeMs);
  const added = { 'x-amz-date': timestamp, 'x-amz-content-sha256': payloadHash };
  const headers = new Map([...request.headers, ...Object.entries(added)]);
  const signedHeaders = [...headers.keys()].sort();
  const scope = scopeFor(credentials, timestamp);
  const signature = signatureOf({ ...request, headers }, { scope, signedHeaders, timestamp, payloadHash }, credentials.secretKey);
  const credential = `${credentials.accessKey}/${scopeText(scope)}`;
  return {
    ...added,
    authorization: `${algorithm} Credential=${credential}, SignedHeaders=${signedHeaders.join(';')}, Signature=${signature}`,
  };
}

/** Query parameters, the request's own included, that make a URL anybody may use for `expiresSec` seconds. */
export function presignQuery(
  request: SignableRequest,
  expiresSec: number,
  credentials: Credentials,
  timeMs: number,
): readonly (readonly [string, string])[] {
  const timestamp = timestampOf(timeMs);
  const scope = scopeFor(credentials, timestamp);
  const signedHeaders = [...request.headers.keys()].sort();
  const query: (readonly [string, string])[] = [
    ...request.query,
    ['X-Amz-Algorithm', algorithm],
    ['X-Amz-Credential', `${credentials.accessKey}/${scopeText(scope)}`],
    ['X-Amz-Date', timestamp],
    ['X-Amz-Expires', String(expiresSec)],
    ['X-Amz-SignedHeaders', signedHeaders.join(';')],
  ];
  const terms = { scope, signedHeaders, timestamp, payloadHash: unsignedPayload };
  return [...query, ['X-Amz-Signature', signatureOf({ ...request, query }, terms, credentials.secretKey)]];
}

const scopeFor = (credentials: Credentials, timestamp: string): Scope => ({
  date: timestamp.slice(0, 8),
  region: credentials.region,
  service: credentials.service ?? 's3',
});
