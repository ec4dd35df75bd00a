import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { BucketInfo } from '../backend.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { isoTime, owner, result } from '../xml-result.ts';

/** The buckets that the caller may see; the others do not appear. */
export async function listBuckets({ backend, authorize, query }: S3Call): Promise<S3Answer> {
  const prefix = query.get('prefix') ?? '';
  const visible: BucketInfo[] = [];
  for (const bucket of await backend.listBuckets()) {
    if (bucket.name.startsWith(prefix) && (await isAllowed(authorize('HeadBucket', bucket.name, undefined))))
      visible.push(bucket);
  }
  const buckets = visible.map(({ name, createdMs }) =>
    xml('Bucket', [xml('Name', name), xml('CreationDate', isoTime(createdMs))]),
  );
  return { content: result('ListAllMyBucketsResult', [owner(), xml('Buckets', buckets)]) };
}

async function isAllowed(decision: Promise<void>): Promise<boolean> {
  try {
    await decision;
    return true;
  } catch (error) {
    if (S3Error.from(error).code === 'AccessDenied') return false;
    throw error;
  }
}
