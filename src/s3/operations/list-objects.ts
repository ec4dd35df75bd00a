import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { emptyPage, listQuery, pageElements, readListParameters } from '../list-query.ts';
import { result } from '../xml-result.ts';

/** Version 1 of the listing, where the client goes on from the last key it saw. */
export async function listObjects({ backend, bucket, query }: S3Call): Promise<S3Answer> {
  const parameters = readListParameters(query);
  const { prefix, delimiter, limit, encode, encodingType } = parameters;
  const marker = query.get('marker') ?? '';
  await backend.headBucket(bucket);
  const page = limit === 0 ? emptyPage : await backend.list(bucket, listQuery(parameters, marker));
  return {
    content: result('ListBucketResult', [
      xml('Name', bucket),
      xml('Prefix', encode(prefix)),
      xml('Marker', encode(marker)),
      page.next !== undefined && delimiter !== '' && xml('NextMarker', encode(page.next)),
      xml('MaxKeys', limit),
      delimiter !== '' && xml('Delimiter', encode(delimiter)),
      xml('EncodingType', encodingType),
      xml('IsTruncated', page.next !== undefined),
      ...pageElements(page, parameters, true),
    ]),
  };
}
