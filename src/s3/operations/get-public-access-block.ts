import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { result } from '../xml-result.ts';

export async function getPublicAccessBlock({ bucket, settings }: S3Call): Promise<S3Answer> {
  const { publicAccessBlock: block } = settings;
  if (!block) throw new S3Error('NoSuchPublicAccessBlockConfiguration', undefined, { fields: { BucketName: bucket } });
  return {
    content: result('PublicAccessBlockConfiguration', [
      xml('BlockPublicAcls', block.blockPublicAcls),
      xml('IgnorePublicAcls', block.ignorePublicAcls),
      xml('BlockPublicPolicy', block.blockPublicPolicy),
      xml('RestrictPublicBuckets', block.restrictPublicBuckets),
    ]),
  };
}
