import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { result } from '../xml-result.ts';

export async function getBucketOwnershipControls({ bucket, settings }: S3Call): Promise<S3Answer> {
  const { ownership } = settings;
  if (!ownership) throw new S3Error('OwnershipControlsNotFoundError', undefined, { fields: { BucketName: bucket } });
  return { content: result('OwnershipControls', [xml('Rule', [xml('ObjectOwnership', ownership)])]) };
}
