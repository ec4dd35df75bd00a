import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { result } from '../xml-result.ts';

export async function getObjectLockConfiguration({ bucket, settings }: S3Call): Promise<S3Answer> {
  const { objectLock } = settings;
  if (!objectLock) throw new S3Error('ObjectLockConfigurationNotFoundError', undefined, { fields: { BucketName: bucket } });
  const { mode, days, years } = objectLock;
  const preset = [xml('Mode', mode), xml('Days', days), xml('Years', years)];
  return {
    content: result('ObjectLockConfiguration', [
      xml('ObjectLockEnabled', 'Enabled'),
      mode && xml('Rule', [xml('DefaultRetention', preset)]),
    ]),
  };
}
