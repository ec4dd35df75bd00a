import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { corsElements } from '../cors-xml.ts';
import { S3Error } from '../errors.ts';
import { result } from '../xml-result.ts';

export async function getBucketCors({ bucket, settings }: S3Call): Promise<S3Answer> {
  const { cors } = settings;
  if (!cors) throw new S3Error('NoSuchCORSConfiguration', undefined, { fields: { BucketName: bucket } });
  return { content: result('CORSConfiguration', corsElements(cors)) };
}
