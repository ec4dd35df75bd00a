import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { contentsText, listAnswer, listPage, prefixesText, readListParameters, tag } from '../list-query.ts';

/** Version 1 of the listing, where the client goes on from the last key it saw. */
export async function listObjects({ backend, bucket, query, settings }: S3Call): Promise<S3Answer> {
  const parameters = readListParameters(query);
  const { prefix, delimiter, limit, encode, encodingType } = parameters;
  const marker = query.get('marker') ?? '';
  const { owner } = settings;
  const page = await listPage(backend, bucket, parameters, marker);
  return listAnswer('ListBucketResult', [
    tag('Name', bucket),
    // Clients do not decode this one in version 1.
    tag('Prefix', prefix),
    tag('Marker', encode(marker)),
    page.next !== undefined && delimiter !== '' ? tag('NextMarker', encode(page.next)) : '',
    tag('MaxKeys', limit),
    delimiter === '' ? '' : tag('Delimiter', encode(delimiter)),
    encodingType === undefined ? '' : tag('EncodingType', encodingType),
    tag('IsTruncated', page.next !== undefined),
    contentsText(page.objects, parameters, owner),
    prefixesText(page.commonPrefixes, parameters),
  ]);
}
