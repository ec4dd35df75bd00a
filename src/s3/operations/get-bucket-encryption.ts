import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { result } from '../xml-result.ts';

export async function getBucketEncryption({ bucket, settings }: S3Call): Promise<S3Answer> {
  const { encryption } = settings;
  if (!encryption)
    throw new S3Error('ServerSideEncryptionConfigurationNotFoundError', undefined, { fields: { BucketName: bucket } });
  const { algorithm, keyId, usesBucketKey = false } = encryption;
  const preset = [xml('SSEAlgorithm', algorithm), xml('KMSMasterKeyID', keyId)];
  const rule = [xml('ApplyServerSideEncryptionByDefault', preset), xml('BucketKeyEnabled', usesBucketKey)];
  return { content: result('ServerSideEncryptionConfiguration', [xml('Rule', rule)]) };
}
