import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { contentsText, listAnswer, listPage, prefixesText, readListParameters, tag } from '../list-query.ts';

/** Version 2 of the listing, where the client goes on with an opaque token. */
export async function listObjectsV2({ backend, bucket, query, settings }: S3Call): Promise<S3Answer> {
  if (query.get('list-type') !== '2') throw new S3Error('InvalidArgument', 'list-type must be 2');
  const parameters = readListParameters(query);
  const { prefix, delimiter, limit, encode, encodingType } = parameters;
  const token = query.get('continuation-token');
  const startAfter = query.get('start-after');
  const after = token ? readToken(token) : (startAfter ?? '');
  const owner = query.get('fetch-owner') === 'true' ? settings.owner : undefined;
  const page = await listPage(backend, bucket, parameters, after);
  return listAnswer('ListBucketResult', [
    tag('Name', bucket),
    tag('Prefix', encode(prefix)),
    tag('MaxKeys', limit),
    tag('KeyCount', page.objects.length + page.commonPrefixes.length),
    delimiter === '' ? '' : tag('Delimiter', encode(delimiter)),
    encodingType === undefined ? '' : tag('EncodingType', encodingType),
    tag('IsTruncated', page.next !== undefined),
    token === undefined ? '' : tag('ContinuationToken', token),
    page.next === undefined ? '' : tag('NextContinuationToken', Buffer.from(page.next).toString('base64url')),
    startAfter === undefined ? '' : tag('StartAfter', encode(startAfter)),
    contentsText(page.objects, parameters, owner),
    prefixesText(page.commonPrefixes, parameters),
  ]);
}

function readToken(token: string): string {
  const key = Buffer.from(token, 'base64url').toString();
  if (Buffer.from(key).toString('base64url') !== token.replace(/=+$/, '')) {
    throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect', {
      fields: { ArgumentName: 'continuation-token' },
    });
  }
  return key;
}
