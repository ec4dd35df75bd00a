import { createHash, createHmac } from 'node:crypto';

/**
 * A small S3 client of its own, so that the product is not tested with its own signer: header signature of version 4, path style.
 * Source: "Create a signed AWS API request".
 */
export function signedFetch(
  endpoint: string,
  { accessKey, secretKey }: { readonly accessKey: string; readonly secretKey: string },
): (method: string, path: string, body?: string, at?: Date, more?: Readonly<Record<string, string>>) => Promise<Response> {
  return async (method, path, body = '', at = new Date(), more = {}) => {
    const url = new URL(path, endpoint);
    const time = at.toISOString().replace(/[-:]|\.\d+/g, '');
    const day = time.slice(0, 8);
    const hash = createHash('sha256').update(body).digest('hex');
    const headers: Record<string, string> = { ...more, host: url.host, 'x-amz-content-sha256': hash, 'x-amz-date': time };
    const signed = Object.keys(headers).toSorted().join(';');
    const query = [...url.searchParams]
      .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
      .toSorted()
      .join('&');
    const lines = Object.entries(headers)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `${name}:${value}\n`);
    const request = [method, url.pathname, query, lines.join(''), signed, hash].join('\n');
    const scope = `${day}/us-east-1/s3/aws4_request`;
    const text = ['AWS4-HMAC-SHA256', time, scope, createHash('sha256').update(request).digest('hex')].join('\n');
    const key = [day, 'us-east-1', 's3', 'aws4_request'].reduce<string | Buffer>(
      (previous, part) => createHmac('sha256', previous).update(part).digest(),
      `AWS4${secretKey}`,
    );
    const signature = createHmac('sha256', key).update(text).digest('hex');
    const { host: _host, ...sent } = headers;
    return await fetch(url, {
      method,
      headers: {
        ...sent,
        authorization: `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope}, SignedHeaders=${signed}, Signature=${signature}`,
      },
      ...(body === '' ? {} : { body }),
      signal: AbortSignal.timeout(30_000),
    });
  };
}
