import { notFound } from '#kernel/fault.ts';
import type { Backend, BucketInfo } from '#s3/backend.ts';
import type { Owner } from '#s3/bucket-settings.ts';

/** A backend that only knows which buckets there are and whose; whatever else it is asked, the bucket is not there. */
export function bucketsOnly(list: () => Promise<readonly BucketInfo[]>): Backend {
  const missing = async (): Promise<never> => {
    throw notFound('There is no such bucket', {
      reason: 'no_such_bucket',
      hint: 'A bucket is a datasource; an administrator adds them. With one of kind "buckets" (`cellar datasource add s3 /srv/s3 --buckets`) S3 tools can make their own.',
    });
  };
  /** As the last list has them. */
  const owners = new Map<string, Owner>();
  return {
    listBuckets: async () => {
      const all = await list();
      owners.clear();
      for (const { name, owner } of all) owners.set(name, owner);
      return all;
    },
    headBucket: missing,
    createBucket: missing,
    deleteBucket: missing,
    bucketSettings: async (bucket) => {
      const owner = owners.get(bucket);
      return owner ? { owner } : missing();
    },
    changeBucketSettings: missing,
    listVersions: missing,
    update: missing,
    list: missing,
    head: missing,
    get: missing,
    put: missing,
    delete: missing,
    copy: missing,
    createUpload: missing,
    headUpload: missing,
    putPart: missing,
    completeUpload: missing,
    abortUpload: missing,
    listParts: missing,
    listUploads: missing,
  };
}
