import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';

/** A bucket is a datasource, which an administrator declares; S3 cannot make one. */
export async function createBucket({ backend, bucket }: S3Call): Promise<S3Answer> {
  const buckets = await backend.listBuckets();
  if (buckets.some(({ name }) => name === bucket))
    throw new S3Error('BucketAlreadyOwnedByYou', undefined, { fields: { BucketName: bucket } });
  throw new S3Error(
    'MethodNotAllowed',
    `Buckets are datasources and are not created over S3: run "cellar datasource add ${bucket}"`,
  );
}
