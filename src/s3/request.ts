import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { SignableRequest } from '#lib/sigv4.ts';
import { S3Error } from './errors.ts';

/** The head of an HTTP request, decoded once; every later step looks at this and never at the raw text again. */
export interface S3RequestHead extends SignableRequest {
  readonly queryByName: ReadonlyMap<string, string>;
}

/** Errors: `InvalidURI` when the path or query is not percent-encoded UTF-8. */
export function readHead(request: IncomingMessage): S3RequestHead {
  const url = request.url ?? '/';
  const [rawPath, rawQuery] = splitOnce(url.replace(/^https?:\/\/[^/?]*/i, ''), '?');
  const query = rawQuery === '' ? noQuery : readQuery(rawQuery);
  const headers = new Map<string, string>();
  const { rawHeaders } = request;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    let name = rawHeaders[index]!.toLowerCase();
    // HTTP/2 has the host in a pseudo-header; the others are not signed.
    if (name.startsWith(':')) {
      if (name !== ':authority') continue;
      name = 'host';
    }
    const value = asText(rawHeaders[index + 1]!);
    const earlier = headers.get(name);
    headers.set(name, earlier === undefined ? value : `${earlier},${value}`);
  }
  const path = decode(rawPath);
  return {
    method: request.method ?? 'GET',
    path: path.startsWith('/') ? path : `/${path}`,
    query,
    queryByName: query.length === 0 ? noNames : new Map(query),
    headers,
  };
}

const noQuery: readonly (readonly [string, string])[] = [];
const noNames: ReadonlyMap<string, string> = new Map();

const readQuery = (text: string): (readonly [string, string])[] =>
  text
    .split('&')
    .filter((item) => item !== '')
    .map((item) => {
      const [name, value] = splitOnce(item, '=');
      return [decode(name.replaceAll('+', '%20')), decode(value.replaceAll('+', '%20'))] as const;
    });

/** A header as its sender wrote it: HTTP hands on bytes as characters, but what is signed and kept is the UTF-8 text they are. */
function asText(header: string): string {
  if (!/[\u0080-\u00ff]/.test(header)) return header;
  const bytes = Buffer.from(header, 'latin1');
  return isUtf8(bytes) ? bytes.toString() : header;
}

function splitOnce(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function decode(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new S3Error('InvalidURI', 'The request URI is not percent-encoded UTF-8', { cause: error });
  }
}
