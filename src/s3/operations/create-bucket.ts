import { isDeepStrictEqual } from 'node:util';
import { readNewBucketAccess } from '../access/new-bucket-access.ts';
import { bucketAcl } from '../access/ownership.ts';
import type { S3Answer } from '../answer.ts';
import { isBucketName } from '../bucket-name.ts';
import type { BucketSettings } from '../bucket-settings.ts';
import { installation } from '../bucket-settings.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';

/** Makes a bucket that belongs to its maker. */
export async function createBucket(call: S3Call): Promise<S3Answer> {
  const { backend, bucket, headers, user } = call;
  if (!isBucketName(bucket)) throw new S3Error('InvalidBucketName', undefined, { fields: { BucketName: bucket } });
  await assertLocation(call);
  const lockWord = headers.get('x-amz-bucket-object-lock-enabled');
  if (lockWord !== undefined && !/^(true|false)$/i.test(lockWord))
    throw new S3Error('InvalidArgument', 'x-amz-bucket-object-lock-enabled must be true or false');
  const owner = user ? { id: user.id, displayName: user.displayName } : installation;
  const settings: BucketSettings = {
    owner,
    ...(await readNewBucketAccess(call, owner)),
    ...(lockWord?.toLowerCase() === 'true' ? { versioning: 'Enabled', objectLock: {} } : {}),
  };
  try {
    await backend.createBucket(bucket, settings);
  } catch (cause) {
    throw await existsError(call, cause, settings);
  }
  return { headers: { location: `/${bucket}` } };
}

/** A bucket that is there already is the caller's, the way they ask for it, or it is something else. */
async function existsError({ backend, bucket, user }: S3Call, cause: unknown, wanted: BucketSettings): Promise<unknown> {
  if (S3Error.from(cause).code !== 'BucketAlreadyExists') return cause;
  const current = await backend.bucketSettings(bucket);
  const fields = { BucketName: bucket };
  const isSame = current.owner.id === user?.id && isDeepStrictEqual(bucketAcl(current), bucketAcl(wanted));
  return new S3Error(isSame ? 'BucketAlreadyOwnedByYou' : 'BucketAlreadyExists', undefined, { fields, cause });
}

/** Errors: `IllegalLocationConstraintException` for any region but ours. */
async function assertLocation({ headers, region, xml }: S3Call): Promise<void> {
  if (Number(headers.get('content-length') ?? 0) === 0 && !headers.has('transfer-encoding')) return;
  const document = await xml('CreateBucketConfiguration');
  const location = document.value('LocationConstraint')?.trim();
  if (location && location !== region)
    throw new S3Error(
      'IllegalLocationConstraintException',
      `The ${location} location constraint is incompatible for the region specific endpoint this request was sent to.`,
    );
}
