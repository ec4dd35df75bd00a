import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodePlace, encodePageToken } from '#kernel/paging.ts';
import { isListPlace, type Listing, listingName } from './listing.ts';

const decode = (token: string, listing: Listing) => decodePlace(listingName(listing), token, isListPlace);

test('a token of a listing goes on in the same order only', () => {
  const place = { value: 7, name: 'a/' };
  const bySize: Listing = { order: 'size', isDescending: false };
  const token = encodePageToken(listingName(bySize), place);
  assert.deepEqual(decode(token, bySize), place);
  for (const other of [
    { ...bySize, isDescending: true },
    { ...bySize, order: 'time' as const },
  ])
    assert.throws(() => decode(token, other), { reason: 'page_token_invalid' });
});

for (const place of [
  undefined,
  null,
  'a',
  7,
  {},
  { value: 1 },
  { name: 'a' },
  { value: 1.5, name: 'a' },
  { value: '1', name: 'a' },
])
  test(`${JSON.stringify(place)} is no place in a listing`, () => {
    assert.equal(isListPlace(place), false);
  });
