import type { XmlNode } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { BucketSettings } from '../bucket-settings.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';

export async function putBucketEncryption(call: S3Call): Promise<S3Answer> {
  const encryption = readRule(await call.xml('ServerSideEncryptionConfiguration'));
  await call.backend.changeBucketSettings(call.bucket, (settings) => ({ ...settings, encryption }));
  return {};
}

function readRule(document: XmlNode): NonNullable<BucketSettings['encryption']> {
  const [rule, second] = document.all('Rule');
  const [preset] = rule?.all('ApplyServerSideEncryptionByDefault') ?? [];
  if (!rule || second || !preset) throw new S3Error('MalformedXML');
  const algorithm = preset.value('SSEAlgorithm')?.trim();
  const keyId = preset.value('KMSMasterKeyID')?.trim();
  if (algorithm === 'aws:kms:dsse')
    throw new S3Error('NotImplemented', 'Encryption in two layers (aws:kms:dsse) is not implemented');
  if (algorithm !== 'AES256' && algorithm !== 'aws:kms') throw new S3Error('MalformedXML');
  if (keyId && algorithm === 'AES256')
    throw new S3Error(
      'InvalidArgument',
      'a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse',
    );
  return {
    algorithm,
    ...(keyId ? { keyId } : {}),
    ...(rule.value('BucketKeyEnabled')?.trim() === 'true' ? { usesBucketKey: true } : {}),
  };
}
