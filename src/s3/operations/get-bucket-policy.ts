import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';

export async function getBucketPolicy({ bucket, settings }: S3Call): Promise<S3Answer> {
  const { policy } = settings;
  if (policy === undefined) throw new S3Error('NoSuchBucketPolicy', undefined, { fields: { BucketName: bucket } });
  return { headers: { 'content-type': 'application/json' }, content: Buffer.from(policy) };
}
