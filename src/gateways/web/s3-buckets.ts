import { notFound } from '#kernel/fault.ts';
import type { Backend, BucketInfo } from '#s3/backend.ts';

/** A backend that only knows which buckets there are; whatever else it is asked, the bucket is not there. */
export function bucketsOnly(list: () => readonly BucketInfo[]): Backend {
  const missing = async (): Promise<never> => {
    throw notFound('There is no such bucket', {
      reason: 'no_such_bucket',
      hint: 'A bucket is a datasource; an administrator adds them.',
    });
  };
  return {
    listBuckets: async () => list(),
    headBucket: missing,
    createBucket: missing,
    deleteBucket: missing,
    bucketSettings: missing,
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
