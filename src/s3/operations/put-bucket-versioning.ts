import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';

export async function putBucketVersioning(call: S3Call): Promise<S3Answer> {
  const document = await call.xml('VersioningConfiguration');
  const status = document.value('Status')?.trim();
  if (document.value('MfaDelete')?.trim() === 'Enabled')
    throw new S3Error('NotImplemented', 'Deleting with a second factor (MfaDelete) is not implemented');
  if (status !== 'Enabled' && status !== 'Suspended') throw new S3Error('IllegalVersioningConfigurationException');
  await call.backend.changeBucketSettings(call.bucket, (settings) => {
    if (settings.objectLock && status === 'Suspended')
      throw new S3Error(
        'InvalidBucketState',
        'An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.',
      );
    return { ...settings, versioning: status };
  });
  return {};
}
