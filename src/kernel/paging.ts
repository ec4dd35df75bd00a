import { invalidArgument } from './fault.ts';

/** Most rows of one page when the caller names no size. */
export const pageSizeDefault = 100;

/** Where the next page starts, as opaque text: the place of the last row seen, which is a key or other JSON, bound to its list. */
export function encodePageToken(list: string, place: unknown): string {
  return Buffer.from(JSON.stringify([list, place])).toString('base64url');
}

/** The key to go on after; empty for the first page. Errors: `invalid_argument` for a token of another list, or none at all. */
export function decodePageToken(list: string, token: string): string {
  return decodePlace(list, token, (place) => typeof place === 'string') ?? '';
}

/** The same for lists whose places are not keys; `undefined` for the first page. */
export function decodePlace<P>(list: string, token: string, isPlace: (place: unknown) => place is P): P | undefined {
  if (token === '') return undefined;
  const [tokenList, place] = parse(token);
  if (tokenList === list && isPlace(place)) return place;
  throw invalidArgument(`Cannot list ${list}: the page token is not one of this list`, {
    reason: 'page_token_invalid',
    hint: 'Pass next_page_token exactly as it came, with the same order, or none to start anew.',
  });
}

/**
 * Cuts rows to a page: `rows` were read with one more than `size`, so that a last page is known as such.
 * Result: the page, and the token of the next one, empty when there is none.
 */
export function cutPage<T>(list: string, rows: readonly T[], size: number, placeOf: (row: T) => unknown): [T[], string] {
  const page = rows.slice(0, size);
  const last = page.at(-1);
  return [page, rows.length > size && last !== undefined ? encodePageToken(list, placeOf(last)) : ''];
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
