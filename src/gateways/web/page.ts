import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** A page or document that is made once, when the service starts. */
export interface Page {
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string | number>>;
}

/** A self-contained page: only its own inline styles and scripts run, and it talks to this server alone. */
export function htmlPage(html: string, common: Readonly<Record<string, string>>): Page {
  const hashes = (tag: string): string =>
    [...html.matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, 'g'))]
      .map(([, text = '']) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`)
      .join(' ');
  const csp = `default-src 'none'; style-src ${hashes('style') || "'none'"}; script-src ${hashes('script') || "'none'"}; connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`;
  return page(html, 'text/html; charset=utf-8', { ...common, 'content-security-policy': csp });
}

export function jsonPage(value: unknown, common: Readonly<Record<string, string>>): Page {
  return page(JSON.stringify(value), 'application/json', common);
}

function page(text: string, contentType: string, common: Readonly<Record<string, string>>): Page {
  const body = Buffer.from(text);
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 20)}"`;
  return {
    body,
    headers: { ...common, 'content-type': contentType, 'content-length': body.length, etag, 'cache-control': 'no-cache' },
  };
}

export function answerPage(request: IncomingMessage, response: ServerResponse, { body, headers }: Page): void {
  if (request.headers['if-none-match'] === headers['etag']) {
    const { 'content-length': _, ...rest } = headers;
    response.writeHead(304, rest).end();
    return;
  }
  response.writeHead(200, headers).end(request.method === 'HEAD' ? undefined : body);
}
