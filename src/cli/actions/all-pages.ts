/** Everything of a list that is read in pages. */
export async function allPages<A extends { readonly nextPageToken: string }, T>(
  read: (page: { readonly pageSize: number; readonly pageToken: string }) => Promise<A>,
  itemsOf: (answer: A) => readonly T[],
): Promise<T[]> {
  const found: T[] = [];
  let pageToken = '';
  do {
    const answer = await read({ pageSize: 1000, pageToken });
    found.push(...itemsOf(answer));
    pageToken = answer.nextPageToken;
  } while (pageToken);
  return found;
}
