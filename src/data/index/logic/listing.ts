import type { ListOrder, ListPlace } from '../store/store.ts';

/** An order in which a folder is listed. */
export interface Listing {
  readonly order: ListOrder;
  readonly isDescending: boolean;
}

/** What page tokens of a listing are bound to. */
export function listingName({ order, isDescending }: Listing): string {
  return `nodes by ${order}${isDescending ? ', descending' : ''}`;
}

export function isListPlace(place: unknown): place is ListPlace {
  const { value, name } = Object(place) as Readonly<Record<string, unknown>>;
  return Number.isSafeInteger(value) && typeof name === 'string';
}
