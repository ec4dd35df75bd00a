import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { emptyPage, listQuery, pageElements, readListParameters } from '../list-query.ts';
import { result } from '../xml-result.ts';

/** Version 2 of the listing, where the client goes on with an opaque token. */
export async function listObjectsV2({ backend, bucket, query }: S3Call): Promise<S3Answer> {
  if (query.get('list-type') !== '2') throw new S3Error('InvalidArgument', 'list-type must be 2');
  const parameters = readListParameters(query);
  const { prefix, delimiter, limit, encode, encodingType } = parameters;
  const token = query.get('continuation-token');
  const startAfter = query.get('start-after');
  await backend.headBucket(bucket);
  const after = token === undefined ? (startAfter ?? '') : readToken(token);
  const page = limit === 0 ? emptyPage : await backend.list(bucket, listQuery(parameters, after));
  return {
    content: result('ListBucketResult', [
      xml('Name', bucket),
      xml('Prefix', encode(prefix)),
      xml('MaxKeys', limit),
      xml('KeyCount', page.objects.length + page.commonPrefixes.length),
      delimiter !== '' && xml('Delimiter', encode(delimiter)),
      xml('EncodingType', encodingType),
      xml('IsTruncated', page.next !== undefined),
      xml('ContinuationToken', token),
      page.next !== undefined && xml('NextContinuationToken', Buffer.from(page.next).toString('base64url')),
      startAfter !== undefined && xml('StartAfter', encode(startAfter)),
      ...pageElements(page, parameters, query.get('fetch-owner') === 'true'),
    ]),
  };
}

function readToken(token: string): string {
  const key = Buffer.from(token, 'base64url').toString();
  if (token === '' || Buffer.from(key).toString('base64url') !== token.replace(/=+$/, '')) {
    throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect', {
      fields: { ArgumentName: 'continuation-token' },
    });
  }
  return key;
}
