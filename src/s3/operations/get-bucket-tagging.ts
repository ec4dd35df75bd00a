import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { taggingResult } from '../tagging.ts';

export async function getBucketTagging({ bucket, settings }: S3Call): Promise<S3Answer> {
  const { tags } = settings;
  if (!tags) throw new S3Error('NoSuchTagSet', undefined, { fields: { BucketName: bucket } });
  return { content: taggingResult(tags) };
}
