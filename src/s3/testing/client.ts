import { once } from 'node:events';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { type SignableRequest, sha256Hex } from '#lib/sigv4.ts';
import { type Credentials, presignQuery, signHeaders } from '#lib/sigv4-signer.ts';
import { uriEncode } from '#lib/uri-encode.ts';

export interface ClientRequest {
  readonly query?: Readonly<Record<string, string>>;
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** What is signed as `x-amz-content-sha256`; the body's SHA-256 when absent. */
  readonly payloadHash?: string;
  readonly timeMs?: number;
}

export interface ClientAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
  /** `Code` of an error. */
  readonly code: string | undefined;
}

export interface S3Client {
  readonly credentials: Credentials;
  /** Signs and sends one request; `path` is `/bucket/key` as decoded text. */
  send(method: string, path: string, options?: ClientRequest): Promise<ClientAnswer>;
  /** The headers of a signed request, for tests that send it themselves or spoil it first. */
  sign(method: string, path: string, options?: ClientRequest): Record<string, string>;
  /** Sends a request as it is. */
  sendRaw(
    method: string,
    url: string,
    headers: Readonly<Record<string, string>>,
    body?: string | Uint8Array,
  ): Promise<ClientAnswer>;
  /** Path and query of a URL that needs no headers. */
  presign(method: string, path: string, expiresSec: number, query?: Readonly<Record<string, string>>, timeMs?: number): string;
}

/** A small S3 client that signs as the standard says and does nothing on its own. `endpoint` is `http://host:port`; `asHost`: the host it asks for there. */
export function createS3Client(endpoint: string, credentials: Credentials, asHost?: string): S3Client {
  const { host: endpointHost, hostname, port } = new URL(endpoint);
  const host = asHost ?? endpointHost;
  const targetOf = (path: string, query: readonly (readonly [string, string])[]): string => {
    const text = query.map(([name, value]) => `${uriEncode(name)}=${uriEncode(value)}`).join('&');
    return uriEncode(path, true) + (text ? `?${text}` : '');
  };
  const sign: S3Client['sign'] = (method, path, options = {}) => {
    const { query = {}, headers = {}, body = '', payloadHash = sha256Hex(body), timeMs = Date.now() } = options;
    const signable: SignableRequest = {
      method,
      path,
      query: Object.entries(query),
      headers: new Map(Object.entries({ host, ...headers })),
    };
    return { host, ...headers, ...signHeaders(signable, payloadHash, credentials, timeMs) };
  };
  const sendRaw: S3Client['sendRaw'] = async (method, url, headers, body) => {
    const request = httpRequest({ hostname, port, method, path: url, headers: { ...headers }, agent: false });
    const answered = once(request, 'response');
    request.end(body);
    const [response] = await answered;
    const bytes = Buffer.concat(await Array.fromAsync<Buffer>(response));
    const text = bytes.toString();
    return { status: response.statusCode, headers: response.headers, bytes, text, code: /<Code>(\w+)<\/Code>/.exec(text)?.[1] };
  };
  return {
    credentials,
    sign,
    sendRaw,
    send(method, path, options = {}) {
      const { body } = options;
      const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
      return sendRaw(
        method,
        targetOf(path, Object.entries(options.query ?? {})),
        { ...length, ...sign(method, path, options) },
        body,
      );
    },
    presign(method, path, expiresSec, query = {}, timeMs = Date.now()) {
      const signable: SignableRequest = { method, path, query: Object.entries(query), headers: new Map([['host', host]]) };
      return targetOf(path, presignQuery(signable, expiresSec, credentials, timeMs));
    },
  };
}
