import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';

/** A bucket is a datasource, which only an administrator takes away. */
export async function deleteBucket({ backend, bucket }: S3Call): Promise<S3Answer> {
  await backend.headBucket(bucket);
  const { objects } = await backend.list(bucket, { prefix: '', delimiter: '', after: '', limit: 1 });
  if (objects.length > 0) throw new S3Error('BucketNotEmpty', undefined, { fields: { BucketName: bucket } });
  throw new S3Error(
    'MethodNotAllowed',
    `Buckets are datasources and are not deleted over S3: run "cellar datasource remove ${bucket}"`,
  );
}
