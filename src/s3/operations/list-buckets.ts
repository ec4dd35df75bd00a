import { isoTime } from '#lib/iso-time.ts';
import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { BucketInfo } from '../backend.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { readCount } from '../list-query.ts';
import { ownerElement, result } from '../xml-result.ts';

const limitMax = 10_000;

/** The caller's own buckets, and those that the platform's policies open to them. */
export async function listBuckets(call: S3Call): Promise<S3Answer> {
  const { backend, query, region, user, sees } = call;
  const prefix = query.get('prefix');
  const limit = readCount(query, 'max-buckets');
  if (limit !== undefined && (limit < 1 || limit > limitMax))
    throw new S3Error('InvalidArgument', `max-buckets must be between 1 and ${limitMax}`, {
      fields: { ArgumentName: 'max-buckets', ArgumentValue: String(limit) },
    });
  const token = query.get('continuation-token');
  const after = token ? Buffer.from(token, 'base64url').toString() : '';
  const visible: BucketInfo[] = [];
  for (const bucket of await backend.listBuckets())
    if (bucket.name > after && bucket.name.startsWith(prefix ?? '') && (await sees(bucket))) visible.push(bucket);
  const page = visible.slice(0, limit ?? visible.length);
  const last = page.length < visible.length ? page.at(-1) : undefined;
  const isPaged = limit !== undefined || token !== undefined;
  const buckets = page.map(({ name, createdMs }) =>
    xml('Bucket', [xml('Name', name), xml('CreationDate', isoTime(createdMs)), isPaged && xml('BucketRegion', region)]),
  );
  return {
    content: result('ListAllMyBucketsResult', [
      user && ownerElement(user),
      xml('Buckets', buckets),
      xml('Prefix', prefix),
      last && xml('ContinuationToken', Buffer.from(last.name).toString('base64url')),
    ]),
  };
}
