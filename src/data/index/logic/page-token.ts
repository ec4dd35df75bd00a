import { invalidArgument } from '#kernel/fault.ts';
import type { ListOrder, ListPlace } from '../store/store.ts';

export interface Listing {
  readonly order: ListOrder;
  readonly isDescending: boolean;
}

/** The end of a page as an opaque word. */
export function encodePageToken({ order, isDescending }: Listing, { value, name }: ListPlace): string {
  return Buffer.from(JSON.stringify([order, isDescending, value, name])).toString('base64url');
}

/** Errors: `invalid_argument` for a word that is not ours, or that belongs to another order. */
export function decodePageToken(token: string, listing: Listing): ListPlace {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(token, 'base64url').toString());
  } catch (error) {
    throw invalidToken(error);
  }
  if (!Array.isArray(parts)) throw invalidToken();
  const [order, isDescending, value, name] = parts as unknown[];
  if (!Number.isSafeInteger(value) || typeof name !== 'string') throw invalidToken();
  if (order !== listing.order || isDescending !== listing.isDescending) throw invalidToken();
  return { value: value as number, name };
}

function invalidToken(cause?: unknown): Error {
  return invalidArgument('Cannot go on with the listing: the page token is not one of this listing', {
    reason: 'invalid_page_token',
    hint: 'Pass next_page_token of the answer before, with the same order, or begin without a token.',
    cause,
  });
}
