import { invalidArgument } from './fault.ts';

/** Most rows of one page when the caller names no size. */
export const pageSizeDefault = 100;

/** Where the next page starts, as opaque text: the key of the last row seen, bound to its list. */
export function encodePageToken(list: string, lastKey: string): string {
  return Buffer.from(JSON.stringify([list, lastKey])).toString('base64url');
}

/** The key to go on after; empty for the first page. Errors: `invalid_argument` for a token of another list, or none at all. */
export function decodePageToken(list: string, token: string): string {
  if (token === '') return '';
  const [tokenList, lastKey] = parse(token);
  if (tokenList !== list || typeof lastKey !== 'string') {
    throw invalidArgument(`Cannot list ${list}: the page token is not one of this list`, {
      reason: 'page_token_invalid',
      hint: 'Pass next_page_token exactly as it came, or none to start anew.',
    });
  }
  return lastKey;
}

/**
 * Cuts rows to a page: `rows` were read with one more than `size`, so that a last page is known as such.
 * Result: the page, and the token of the next one, empty when there is none.
 */
export function cutPage<T>(list: string, rows: readonly T[], size: number, keyOf: (row: T) => string): [T[], string] {
  const page = rows.slice(0, size);
  const last = page.at(-1);
  return [page, rows.length > size && last !== undefined ? encodePageToken(list, keyOf(last)) : ''];
}

function parse(token: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    return Array.isArray(value) ? value : [];
  } catch {
    // Not JSON: as wrong as a token of another list, and said the same way.
    return [];
  }
}
