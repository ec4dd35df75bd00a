import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { lifecycleElements } from '../lifecycle-xml.ts';
import { result } from '../xml-result.ts';

export async function getBucketLifecycleConfiguration({ bucket, settings }: S3Call): Promise<S3Answer> {
  const { lifecycle } = settings;
  if (!lifecycle) throw new S3Error('NoSuchLifecycleConfiguration', undefined, { fields: { BucketName: bucket } });
  return { content: result('LifecycleConfiguration', lifecycleElements(lifecycle)) };
}
