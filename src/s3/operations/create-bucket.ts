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
    return await whenThere(call, cause, settings);
  }
  return { headers: { location: `/${bucket}` } };
}

/**
 * A bucket that is there already. Making one's own again, as it is, is done already, as in the first region of S3; a declared one counts as
 * the caller's where they may use it.
 */
async function whenThere({ backend, bucket, user, sees }: S3Call, cause: unknown, wanted: BucketSettings): Promise<S3Answer> {
  if (S3Error.from(cause).code !== 'BucketAlreadyExists') throw cause;
  const { owner, ...current } = await backend.bucketSettings(bucket);
  const isOwn = owner.id === user?.id;
  const isSame = isDeepStrictEqual(bucketAcl({ owner, ...current }).grants, bucketAcl({ ...wanted, owner }).grants);
  if (isOwn && isSame) return { headers: { location: `/${bucket}` } };
  const isUsable = owner.id === installation.id && (await sees({ name: bucket, createdMs: 0, owner }));
  const fields = { BucketName: bucket };
  throw new S3Error(isUsable ? 'BucketAlreadyOwnedByYou' : 'BucketAlreadyExists', undefined, { fields, cause });
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
